#include "core/trace/import/row_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moescope {
namespace {

constexpr std::size_t probability_rows = 4096;
constexpr double probability_tolerance = 1e-2;
constexpr std::size_t tokens_between_looks = 1024;  // at the cancel flag

class Counter {
 public:
  void add(const RawPlane& plane, const RawPlane* weights, std::size_t token, LayerStatistics& out) {
    raw_.resize(plane.width);
    plane.integers(token, raw_);
    out.bytes_only = out.bytes_only && plane.type == DType::u8;
    ++out.rows;
    ids_.clear();
    for (const std::int64_t id : raw_) {
      if (id >= 0) ids_.push_back(id);
    }
    if (ids_.empty()) return;
    bool ascending = true;
    for (std::size_t i = 1; i < ids_.size(); ++i) ascending = ascending && ids_[i] > ids_[i - 1];
    const bool zeros = std::all_of(ids_.begin(), ids_.end(), [](std::int64_t id) { return id == 0; });
    out.all_zero += zeros ? 1U : 0U;
    if (!ascending && has_twice()) {
      ++out.duplicates;
      return;
    }
    out.fewest = out.recorded == 0 ? ids_.size() : std::min(out.fewest, ids_.size());
    out.most = std::max(out.most, ids_.size());
    ++out.recorded;
    if (ids_.size() > 1) {
      ++out.several;
      out.ascending += ascending ? 1U : 0U;
      if (weights != nullptr) add_weights(*weights, token, out);
    }
    for (const std::int64_t id : ids_) {
      out.highest = std::max(out.highest, id);
      if (id == 255) ++out.ids_255;
      if (id != 255) out.highest_but_255 = std::max(out.highest_but_255, id);
    }
  }

 private:
  // 255 may be a filler, so it may come twice.
  bool has_twice() {
    sorted_ = ids_;
    std::sort(sorted_.begin(), sorted_.end());
    const auto twice = std::adjacent_find(sorted_.begin(), sorted_.end(),
                                          [](std::int64_t a, std::int64_t b) { return a == b && a != 255; });
    return twice != sorted_.end();
  }
  void add_weights(const RawPlane& plane, std::size_t token, LayerStatistics& out) {
    weights_.resize(plane.width);
    plane.numbers(token, weights_);
    const std::size_t n = std::min(weights_.size(), ids_.size());
    if (std::any_of(weights_.begin(), weights_.begin() + static_cast<std::ptrdiff_t>(n),
                    [](float w) { return std::isnan(w); })) {
      return;
    }
    ++out.weighted;
    out.weights_descending +=
        std::is_sorted(weights_.begin(), weights_.begin() + static_cast<std::ptrdiff_t>(n), std::greater<>()) ? 1U : 0U;
  }

  std::vector<std::int64_t> raw_, ids_, sorted_;
  std::vector<float> weights_;
};

}  // namespace

Expected<std::vector<LayerStatistics>> row_statistics(const RawTrace& raw, const WorkContext& work) {
  std::vector<LayerStatistics> out(raw.layers.size());
  Counter counter;
  for (std::size_t p = 0; p < raw.pieces.size(); ++p) {
    const RawPiece& piece = raw.pieces[p];
    work.report("Looking at the routes", 0.5 * static_cast<double>(p) / static_cast<double>(raw.pieces.size()));
    for (std::size_t l = 0; l < out.size(); ++l) {
      const RawPlane* const plane = piece.ids.at(l);
      if (plane == nullptr) continue;
      if (plane->width > used_code::max_filled) {
        return fail(ErrorKind::input,
                    fmt::format("a token has {} experts where a trace holds {}", plane->width,
                                std::uint32_t{used_code::max_filled}),
                    fmt::format("layer {}", raw.layers[l].layer), "Check which axis of the array is which");
      }
      for (std::size_t t = 0; t < piece.tokens; ++t) {
        if (t % tokens_between_looks == 0 && work.cancelled())
          return fail(ErrorKind::cancelled, "the import was stopped");
        counter.add(*plane, piece.weights.at(l), t, out[l]);
      }
    }
  }
  return out;
}

bool looks_like_probabilities(const RawTrace& raw) {
  std::size_t total = 0;
  for (const RawPiece& piece : raw.pieces) total += piece.logits.layers.size() * piece.tokens;
  const std::size_t stride = std::max<std::size_t>(1, total / probability_rows);
  std::size_t at = 0, looked = 0;
  std::vector<float> row;
  for (const RawPiece& piece : raw.pieces) {
    for (const RawPlane& plane : piece.logits.layers) {
      for (std::size_t t = 0; t < piece.tokens && plane.width > 0; ++t) {
        if (at++ % stride != 0) continue;
        row.resize(plane.width);
        plane.numbers(t, row);
        double sum = 0;
        for (const float p : row) {
          if (std::isnan(p)) break;
          if (p < 0) return false;
          sum += p;
        }
        if (std::any_of(row.begin(), row.end(), [](float p) { return std::isnan(p); })) continue;
        if (std::abs(sum - 1) >= probability_tolerance) return false;
        ++looked;
      }
    }
  }
  return looked > 0;
}

}  // namespace moescope
