// How many experts there are, what ids mean, whether ranks are in order, and what was counted.
#include <fmt/format.h>

#include <algorithm>

#include "core/trace/import/normaliser.h"
#include "core/trace/trace_metadata.h"

namespace moescope {
namespace {

constexpr std::uint64_t rows_for_a_verdict = 32;  // rows that must agree before an order is believed
constexpr std::size_t counts_limit = std::size_t{1} << 26U;

}  // namespace

// E of every row: told, else from the placement, the logits or counts, else the highest id of all rows.
Expected<void> Normaliser::count_experts() {
  std::uint32_t told = options_.experts;
  if (told == 0 && options_.model) told = options_.model->experts;
  const bool mapped = !raw().placement.empty();
  std::int64_t highest = -1;
  bool guessed = false;
  for (const RowPlan& plan : state_->rows) {
    const LayerStatistics& s = statistics_[plan.source];
    // In bytes, 255 is a filler where all other ids are far below it.
    const bool filler = s.bytes_only && s.ids_255 > 0 && s.highest_but_255 < 128 && s.highest_but_255 >= 0;
    highest = std::max(highest, filler ? s.highest_but_255 : s.highest);
  }
  for (std::size_t r = 0; r < state_->rows.size(); ++r) {
    RouterRow& row = info_.rows[r];
    const std::uint32_t shared = options_.model ? options_.model->shared : row.shared;
    const std::size_t source = state_->rows[r].source;
    std::uint32_t widest = 0;
    for (const RawPiece& piece : raw().pieces) {
      if (const RawPlane* const logits = piece.logits.at(source)) {
        widest = std::max(widest, static_cast<std::uint32_t>(std::min<std::size_t>(logits->width, 1U << 20U)));
      }
    }
    if (widest == 0 && !raw().counts.empty() && !raw().counts.physical) {
      widest = static_cast<std::uint32_t>(std::min<std::size_t>(raw().counts.experts, 1U << 20U));
    }
    const std::uint32_t source_says = widest != 0 ? widest : row.experts;
    if (told != 0 && source_says != 0 && source_says != told) {
      return fail(ErrorKind::input,
                  fmt::format("the trace has {} experts at layer {}, where {} were told", source_says, row.layer, told),
                  "", "Give the model that the trace was recorded on");
    }
    if (told != 0) row.experts = told;
    if (row.experts == 0) row.experts = source_says;
    if (row.experts == 0 && mapped) {
      const auto& map = raw().placement.values.values;
      row.experts = static_cast<std::uint32_t>(std::max(0, 1 + *std::max_element(map.begin(), map.end())));
    }
    if (row.experts == 0) {
      row.experts = static_cast<std::uint32_t>(std::clamp<std::int64_t>(highest + 1, 1, 1U << 20U));
      guessed = true;
    }
    if (row.experts > trace_expert_limit) {
      return fail(ErrorKind::input,
                  fmt::format("{} experts are more than the {} of a trace", row.experts, trace_expert_limit),
                  fmt::format("layer {}", row.layer), "Check which axis of the array is which");
    }
    row.shared = shared;
    if (options_.model) row.rule = options_.model->rule;
  }
  if (guessed) {
    note(fmt::format("The number of experts is not in the file: {} is the highest id plus one.", highest + 1));
  }
  return {};
}

// Logical or physical, fillers, shared experts among the ids, and how many a token has.
Expected<void> Normaliser::decide_ids() {
  const bool physical = raw().physical_ids && has_ids();
  const PlacementMap& map = raw().placement;
  if (physical && !map.empty()) {
    if (map.rows < raw().layers.size()) {
      return fail(ErrorKind::input, "the map from physical to logical experts has fewer layers than the trace", "",
                  "Record the trace again");
    }
    state_->map_ids = true;
    state_->physical = map.physical;
    note(
        "The ids were physical places; they are turned into logical experts by the map in the file. Where experts "
        "moved during the recording, tokens before the last move may be mapped wrongly.");
  } else if (physical) {
    info_.physical_ids = true;
  }
  std::uint64_t duplicates = 0, fused = 0, fillers = 0;
  for (std::size_t r = 0; r < state_->rows.size(); ++r) {
    RowPlan& plan = state_->rows[r];
    RouterRow& row = info_.rows[r];
    const LayerStatistics& s = statistics_[plan.source];
    plan.id_limit = state_->map_ids ? static_cast<std::uint32_t>(state_->physical) : row.experts;
    if (info_.physical_ids)
      plan.id_limit = row.experts = std::max<std::uint32_t>(row.experts, static_cast<std::uint32_t>(s.highest + 1));
    if (plan.id_limit > trace_expert_limit) {
      return fail(ErrorKind::input,
                  fmt::format("{} experts are more than the {} of a trace", plan.id_limit, trace_expert_limit),
                  fmt::format("layer {}", row.layer), "Check which axis of the array is which");
    }
    plan.drop_255 = s.ids_255 > 0 && plan.id_limit <= 255;
    if (plan.drop_255) ++fillers;
    if (options_.model && !info_.physical_ids && !state_->map_ids) plan.fused_shared = options_.model->shared;
    const std::int64_t most = plan.drop_255 ? s.highest_but_255 : s.highest;
    if (plan.fused_shared > 0 && most >= plan.id_limit) ++fused;
    duplicates += s.duplicates;
    if (state_->map_ids) {
      for (std::size_t p = 0; p < state_->physical; ++p) {
        const std::int32_t to = map.values[((map.epochs - 1) * map.rows + plan.source) * map.physical + p];
        if (to < 0 || static_cast<std::uint32_t>(to) >= row.experts) {
          return fail(ErrorKind::input,
                      fmt::format("the map gives physical expert {} to logical expert {} of {}", p, to, row.experts),
                      fmt::format("layer {}", row.layer), "Give the model that the trace was recorded on");
        }
        state_->logical.push_back(to);
      }
    }
  }
  if (fillers > 0) note("Id 255 is a filler in this file, not an expert, and was left out.");
  if (fused > 0) note("Ids from the number of experts on are shared experts, which are always on, and were left out.");
  if (duplicates > 0) {
    note(fmt::format("{} token rows name an expert twice, which no router does: they count as not recorded.",
                     duplicates));
  }
  return {};
}

Expected<void> Normaliser::decide_order() {
  std::uint64_t several = 0, ascending = 0, weighted = 0, descending = 0;
  for (const LayerStatistics& s : statistics_) {
    several += s.several;
    ascending += s.ascending;
    weighted += s.weighted;
    descending += s.weights_descending;
  }
  if (state_->ids_from_logits || (has_ids() && several == 0)) return {};  // in order, or nothing to order
  if (!has_ids()) {
    info_.rank_order = false;
    return {};
  }
  if (raw().order != RawOrder::not_ranked && several >= rows_for_a_verdict && ascending == several) {
    info_.rank_order = false;
    note("The ids of every token ascend, so they are sorted and not in the order of the router's choice.");
  } else if (raw().order == RawOrder::not_told) {
    info_.rank_order = weighted >= rows_for_a_verdict && weighted == descending && weighted == several;
    note(info_.rank_order ? "The gate weights of every token fall, so its experts are taken as ranked."
                          : "Whether a token's experts are in the order of the router's choice is not known.");
  } else {
    info_.rank_order = raw().order == RawOrder::ranked;
  }
  return {};
}

// Counts [step, row, expert] of the rows that are routers, logical where a map is there, without empty steps.
Expected<void> Normaliser::take_counts() {
  const RawCounts& from = raw().counts;
  if (from.empty()) return {};
  const PlacementMap& map = raw().placement;
  const bool mapped = from.physical && !map.empty();
  if (from.physical && map.empty()) info_.physical_ids = true;
  std::uint32_t width = 0;
  for (RouterRow& row : info_.rows) {
    if (from.physical && !mapped) row.experts = static_cast<std::uint32_t>(from.experts);
    width = std::max(width, row.experts);
  }
  const std::size_t layers = raw().layers.size();
  if (from.steps > counts_limit / (state_->rows.size() * std::max<std::size_t>(1, width))) {
    return fail(ErrorKind::input,
                fmt::format("{} steps of {} routers and {} experts are too many counts", from.steps,
                            state_->rows.size(), width),
                "", "Check which axis of the array is which");
  }
  std::vector<std::int64_t> out;
  std::size_t kept = 0;
  for (std::size_t step = 0; step < from.steps; ++step) {
    const auto begin = from.values.begin() + static_cast<std::ptrdiff_t>(step * layers * from.experts);
    const auto end = begin + static_cast<std::ptrdiff_t>(layers * from.experts);
    if (const auto negative = std::find_if(begin, end, [](auto n) { return n < 0; }); negative != end) {
      return fail(
          ErrorKind::input, fmt::format("a count is {}, which is less than none", *negative),
          fmt::format("step {}, layer {}", step, (negative - begin) / static_cast<std::ptrdiff_t>(from.experts)),
          "Record the counts again");
    }
    if (std::all_of(begin, end, [](auto n) { return n == 0; })) continue;
    ++kept;
    for (std::size_t r = 0; r < state_->rows.size(); ++r) {
      std::vector<std::int64_t> row(width, 0);
      const std::size_t source = state_->rows[r].source;
      for (std::size_t e = 0; e < from.experts; ++e) {
        const std::int64_t n = *(begin + static_cast<std::ptrdiff_t>(source * from.experts + e));
        const std::int64_t to = mapped ? map.values[((map.epochs - 1) * map.rows + source) * map.physical + e]
                                       : static_cast<std::int64_t>(e);
        if (n == 0) continue;
        if (to < 0 || to >= width) {
          return fail(ErrorKind::input, fmt::format("{} counts belong to expert {} of {}", n, to, width),
                      fmt::format("step {}, layer {}", step, info_.rows[r].layer), "Record the counts again");
        }
        row[static_cast<std::size_t>(to)] += n;
      }
      out.insert(out.end(), row.begin(), row.end());
    }
  }
  if (kept < from.steps) {
    note(fmt::format("{} of {} steps counted nothing and are left out.", from.steps - kept, from.steps));
  }
  if (out.empty()) return fail(ErrorKind::input, "every count is zero", "", "Record while requests are running");
  state_->head.counts = ExpertCounts{kept, state_->rows.size(), width, Column<std::int64_t>::own(std::move(out))};
  return {};
}

}  // namespace moescope
