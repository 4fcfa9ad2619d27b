// Which entries of a source's layer axis are routers, and of which layers.
#include <fmt/format.h>

#include <algorithm>

#include "core/trace/import/normaliser.h"

namespace moescope {

bool Normaliser::counted(std::size_t layer) const {
  const RawCounts& counts = state_->raw.counts;
  for (std::size_t s = 0; s < counts.steps; ++s) {
    const auto begin =
        counts.values.begin() + static_cast<std::ptrdiff_t>((s * state_->raw.layers.size() + layer) * counts.experts);
    if (std::any_of(begin, begin + static_cast<std::ptrdiff_t>(counts.experts), [](auto n) { return n != 0; })) {
      return true;
    }
  }
  return false;
}

// Absolute layers, and which of the axis are routers at all.
Expected<void> Normaliser::find_layers() {
  const std::size_t n = raw().layers.size();
  std::vector<bool> dense(n, false);
  std::vector<int> dense_by_data;
  std::size_t doubtful = 0, empty = 0;
  for (std::size_t l = 0; l < n; ++l) {
    const LayerStatistics& s = statistics_[l];
    const bool logits = std::any_of(raw().pieces.begin(), raw().pieces.end(),
                                    [&](const RawPiece& piece) { return piece.logits.at(l) != nullptr; });
    if (logits || (!raw().counts.empty() && counted(l))) continue;
    if (s.recorded == 0) {
      dense[l] = true;
      (s.all_zero > 0 ? dense_by_data.push_back(raw().layers[l].layer) : void(++empty));
    } else if (s.most == 1 && s.all_zero == s.rows && s.rows > 1) {
      ++doubtful;
    }
  }
  if (auto placed = place_layers(dense); !placed) return placed;
  if (!dense_by_data.empty()) {
    note(fmt::format("Layers {} hold expert 0 in every slot, which no router chooses: they are dense and left out.",
                     fmt::join(dense_by_data, ", ")));
  }
  if (empty > 0) note(fmt::format("{} layers hold no routes at all (dense or not recorded) and are left out.", empty));
  if (doubtful > 0 && !options_.model) {
    note(
        fmt::format("{} layers choose expert 0 for every token: with one expert per token a dense layer looks the "
                    "same. The model's config.json would tell.",
                    doubtful));
  }
  for (std::size_t l = 0; l < n; ++l) {
    if (dense[l]) continue;
    const RawLayer& from = raw().layers[l];
    RowPlan plan;
    plan.source = l;
    state_->rows.push_back(plan);
    RouterRow row;
    row.layer = from.layer;
    row.block = from.block;
    row.site = from.site;
    row.experts = from.experts;
    row.k = from.k;
    row.shared = from.shared;
    info_.rows.push_back(std::move(row));
  }
  if (state_->rows.empty()) {
    return fail(ErrorKind::input, "no layer of it holds any routes", "", "Record the trace again");
  }
  return {};
}

// With a model: by the number of layers, all of them or those with experts. Without: the positions.
Expected<void> Normaliser::place_layers(std::vector<bool>& dense) {
  const std::size_t n = raw().layers.size();
  const bool decoder_only = std::all_of(raw().layers.begin(), raw().layers.end(),
                                        [](const RawLayer& l) { return l.block == "decoder" && l.site == "mlp"; });
  if (!options_.model || !decoder_only) {
    if (!raw().layers_absolute && std::none_of(dense.begin(), dense.end(), [](bool d) { return d; })) {
      note(fmt::format("Which layers of the model these {} routers are is not in the file: they are numbered from 0.",
                       n));
    }
    return {};
  }
  const std::vector<bool>& moe = options_.model->moe;
  if (raw().layers_absolute) {
    for (std::size_t l = 0; l < n; ++l) {
      const auto layer = static_cast<std::size_t>(raw().layers[l].layer);
      if (layer >= moe.size()) {
        return fail(ErrorKind::input, fmt::format("the trace has layer {}, the model has {} layers", layer, moe.size()),
                    "", "Give the model that the trace was recorded on");
      }
      if (!moe[layer]) dense[l] = true;
    }
    return {};
  }
  if (n == moe.size()) {
    for (std::size_t l = 0; l < n; ++l) dense[l] = !moe[l];
    return {};
  }
  if (n != options_.model->moe_layers()) {
    return fail(ErrorKind::input,
                fmt::format("the trace has {} layers; the model has {}, {} of them with experts", n, moe.size(),
                            options_.model->moe_layers()),
                "", "Give the model that the trace was recorded on");
  }
  std::size_t next = 0;
  for (std::size_t layer = 0; layer < moe.size(); ++layer) {
    if (moe[layer]) raw().layers[next++].layer = static_cast<int>(layer);
  }
  return {};
}

}  // namespace moescope
