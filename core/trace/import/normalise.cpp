#include "core/trace/import/normalise.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "core/trace/import/normaliser.h"
#include "core/trace/trace_metadata.h"

namespace moescope {
namespace {

constexpr std::size_t values_always = std::size_t{1} << 26U, values_per_byte = 64;

// A file may hold weights or logits of fewer tokens than its ids: nothing may be read beyond the end of an array.
Expected<void> check_lengths(const RawPiece& piece) {
  const auto grid = [&](const RawGrid& of, std::string_view what) -> Expected<void> {
    for (std::size_t l = 0; l < of.layers.size(); ++l) {
      const std::size_t has = of.layers[l].whole_tokens();
      if (of.layers[l].width == 0 || has >= piece.tokens) continue;
      return fail(ErrorKind::input,
                  fmt::format("its {} have {} tokens where {} were recorded", what, has, piece.tokens),
                  fmt::format("layer {} of the file", l), "Give arrays of the same tokens");
    }
    return {};
  };
  for (const auto& [of, what] :
       {std::pair(&piece.ids, "experts"), {&piece.weights, "gate weights"}, {&piece.logits, "router logits"}}) {
    if (auto done = grid(*of, what); !done) return done;
  }
  for (const auto& [name, values] : piece.slot_values) {
    if (auto done = grid(values, name); !done) return done;
  }
  for (const auto& [count, what] : {std::pair(piece.token_ids.size(), "token ids"),
                                    {piece.sequence_ids.size(), "sequence ids"},
                                    {piece.positions.size(), "positions"},
                                    {piece.steps.size(), "steps"},
                                    {piece.ranks.size(), "ranks"},
                                    {piece.phases.size(), "phases"}}) {
    if (count == 0 || count == piece.tokens) continue;
    return fail(ErrorKind::input, fmt::format("its {} are {} where {} tokens were recorded", what, count, piece.tokens),
                "", "Give one for each token");
  }
  return {};
}

}  // namespace

Expected<std::unique_ptr<NormalTrace::State>> Normaliser::run() {
  using Step = Expected<void> (Normaliser::*)();
  for (const Step step : {&Normaliser::look, &Normaliser::match_tokens, &Normaliser::decide_scores,
                          &Normaliser::find_layers, &Normaliser::count_experts, &Normaliser::decide_ids,
                          &Normaliser::decide_order, &Normaliser::take_counts, &Normaliser::lay_out}) {
    if (auto done = (this->*step)(); !done) return fail(done.error());
  }
  finish();
  return std::move(state_);
}

Expected<void> Normaliser::look() {
  std::erase_if(raw().pieces, [](const RawPiece& piece) { return piece.tokens == 0; });
  if (raw().layers.size() > trace_row_limit) {
    return fail(ErrorKind::input, fmt::format("{} layers are more than a trace holds", raw().layers.size()), "",
                "Check which axis of the array is which");
  }
  if (!has_ids() && !has_logits() && raw().counts.empty()) {
    return fail(ErrorKind::input, "nothing was recorded in it: no experts, no logits, no counts", "",
                "Record the trace again");
  }
  for (const RawPiece& piece : raw().pieces) {
    if (auto done = check_lengths(piece); !done) return done;
  }
  auto statistics = row_statistics(raw(), work_);
  if (!statistics) return fail(statistics.error());
  statistics_ = std::move(*statistics);
  info_.notes = raw().notes;
  return {};
}

// Which tokens of a sequence the rows belong to: the last sampled token is never run, and a start may be stated.
Expected<void> Normaliser::match_tokens() {
  std::size_t unmatched = 0, short_of_last = 0;
  for (RawPiece& piece : raw().pieces) {
    const std::size_t n = piece.sequence_tokens.size();
    std::optional<std::size_t> start;
    const std::size_t stated = piece.first_position.value_or(0);
    for (const std::size_t first : {stated, std::size_t{0}}) {
      if (!start && n > 0 && (first + piece.tokens == n || first + piece.tokens + 1 == n)) start = first;
    }
    if (n > 0 && !start) ++unmatched;
    if (start) {
      short_of_last += *start + piece.tokens + 1 == n ? 1U : 0U;
      const auto begin = piece.sequence_tokens.begin() + static_cast<std::ptrdiff_t>(*start);
      piece.token_ids.assign(begin, begin + static_cast<std::ptrdiff_t>(piece.tokens));
    }
    if (start || piece.first_position) {
      piece.positions.resize(piece.tokens);
      std::iota(piece.positions.begin(), piece.positions.end(), static_cast<std::int32_t>(start.value_or(stated)));
    }
  }
  if (unmatched > 0) {
    note(fmt::format("The token ids of {} sequences do not match their number of routed tokens and were left out.",
                     unmatched));
  }
  if (short_of_last > 0) {
    note(fmt::format("The last token of {} sequences was sampled but never run: it has no routes and is left out.",
                     short_of_last));
  }
  return {};
}

Expected<void> Normaliser::decide_scores() {
  if (!has_logits()) return {};
  if (raw().scores == RawScores::not_told && looks_like_probabilities(raw())) raw().scores = RawScores::probabilities;
  if (raw().scores == RawScores::probabilities) {
    state_->log_of_probabilities = true;
    note(
        "The scores are probabilities (at least 0, each row adds up to 1), not raw logits: their logarithms are "
        "kept, which give the same softmax and order; what was subtracted from the logits is not known.");
  }
  for (const RawPiece& piece : raw().pieces) {
    for (const RawPlane& plane : piece.logits.layers) state_->logit_width = std::max(state_->logit_width, plane.width);
  }
  if (has_ids()) return {};
  std::uint32_t k = options_.k;
  if (k == 0 && options_.model) k = options_.model->k;
  for (const RawLayer& layer : raw().layers) k = k == 0 ? layer.k : k;
  if (k == 0 || k > std::min<std::size_t>(used_code::max_filled, state_->logit_width)) {
    return fail(ErrorKind::input,
                k == 0 ? "the file has router logits only and does not say how many experts a token uses"
                       : fmt::format("{} of {} experts per token is no choice", k, state_->logit_width),
                "", "Give --top-k N, or --model with the config.json of the model");
  }
  state_->ids_from_logits = true;
  state_->k_of_logits = k;
  if (!options_.model) {
    approximate(fmt::format("the experts are the {} largest logits; how the model really chooses is not known", k));
  } else if (options_.model->selection_bias || options_.model->grouped) {
    approximate(fmt::format("the experts are the {} largest logits, but this model chooses {}", k,
                            options_.model->selection_bias ? "with a bias that is not in them" : "within groups"));
  }
  return {};
}

// Slots, k of each row, columns, tags.
Expected<void> Normaliser::lay_out() {
  NormalTrace::State& s = *state_;
  std::uint32_t model_k = options_.model ? options_.model->k : 0;
  std::uint32_t found_k = 0;
  for (std::size_t r = 0; r < s.rows.size(); ++r) {
    const LayerStatistics& statistics = statistics_[s.rows[r].source];
    RouterRow& row = info_.rows[r];
    if (s.ids_from_logits) {
      row.k = s.k_of_logits;
      s.slots = s.k_of_logits;
    } else if (has_ids()) {
      const bool clean = !s.rows[r].drop_255 && s.rows[r].fused_shared == 0;
      const auto most = static_cast<std::uint32_t>(clean ? statistics.most : most_filled(r));
      s.slots = std::max<std::size_t>(s.slots, most);
      row.k = clean && statistics.fewest != statistics.most ? 0 : most;
    } else if (row.k == 0) {
      row.k = model_k;
    }
    found_k = std::max(found_k, row.k);
  }
  if (model_k != 0 && found_k != 0 && found_k != model_k) {
    note(fmt::format("{} experts per token were used, where the model's config says {}: the trace is trusted.", found_k,
                     model_k));
    if (raw().slots_written != 0 && model_k > raw().slots_written && found_k == raw().slots_written) {
      approximate(fmt::format("the recorder keeps {} of the {} experts of each token", found_k, model_k));
    }
  }
  s.piece_begin.push_back(0);
  std::set<std::string> slot_names;
  for (const RawPiece& piece : raw().pieces) {
    s.piece_begin.push_back(s.piece_begin.back() + piece.tokens);
    s.has_weights = s.has_weights || !piece.weights.empty();
    s.has_token_ids = s.has_token_ids || !piece.token_ids.empty();
    s.has_sequences = s.has_sequences || !piece.sequence_ids.empty();
    s.has_positions = s.has_positions || !piece.positions.empty();
    s.has_steps = s.has_steps || !piece.steps.empty();
    s.has_ranks = s.has_ranks || !piece.ranks.empty();
    s.has_phases = s.has_phases || !piece.phases.empty();
    for (const auto& [name, grid] : piece.slot_values) slot_names.insert(name);
    for (const auto& [name, value] : piece.tags) {
      auto& names = info_.tag_names[name];
      if (std::find(names.begin(), names.end(), value) == names.end()) names.push_back(value);
    }
  }
  if (s.map_ids) slot_names.insert("physical_id");
  s.slot_names.assign(slot_names.begin(), slot_names.end());
  // Few records that name far layers, tokens and slots must not become a large table.
  const std::size_t width = s.rows.size() * std::max<std::size_t>({1, s.slots, s.logit_width});
  const std::size_t most = values_always + std::min(raw().source_bytes, values_always) * values_per_byte;
  if (s.tokens() > most / width) {
    return fail(ErrorKind::input,
                fmt::format("{} tokens of {} values each are far more than a file of {} bytes can hold", s.tokens(),
                            width, raw().source_bytes),
                "", "Check which axis is which, or import a part of it");
  }
  return {};
}

// Filled slots when fillers and shared experts are left out.
std::size_t Normaliser::most_filled(std::size_t r) {
  RowReader reader;
  ReadRow row;
  std::size_t most = 0;
  for (const RawPiece& piece : raw().pieces) {
    for (std::size_t t = 0; t < piece.tokens; ++t) {
      reader.read(piece, state_->rows[r], t, row);
      most = std::max(most, row.filled);
    }
  }
  return most;
}

void Normaliser::finish() {
  RawTrace& from = raw();
  if (from.approximate) approximate(*from.approximate);
  info_.source_tool = from.tool;
  info_.model_name = from.model_name;
  info_.model_family = from.model_family;
  if (options_.model) {
    info_.model_name = options_.model->name;
    info_.model_family = options_.model->family;
    info_.config_hash = options_.model->config_hash;
  }
  info_.compute_type = from.compute_type;
  if (state_->has_weights) info_.weight_kind = from.weight_kind;
  keep_placement();
  state_->head.info = std::make_shared<const TraceInfo>(std::move(info_));
}

// The map of the rows that are routers.
void Normaliser::keep_placement() {
  const PlacementMap& map = raw().placement;
  if (map.empty() || map.rows < raw().layers.size()) return;
  std::vector<std::int32_t> values;
  for (std::size_t epoch = 0; epoch < map.epochs; ++epoch) {
    for (const RowPlan& plan : state_->rows) {
      const auto begin =
          map.values.values.begin() + static_cast<std::ptrdiff_t>((epoch * map.rows + plan.source) * map.physical);
      values.insert(values.end(), begin, begin + static_cast<std::ptrdiff_t>(map.physical));
    }
  }
  state_->head.placement =
      PlacementMap{map.epochs, state_->rows.size(), map.physical, Column<std::int32_t>::own(std::move(values))};
}

Expected<NormalTrace> normalise(RawTrace raw, const NormaliseOptions& options, const WorkContext& work) {
  try {
    auto state = Normaliser(std::move(raw), options, work).run();
    if (!state) return fail(state.error());
    return NormalTrace(std::move(*state));
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::input, "the trace needs more memory to read than there is", "", "Import a part of it");
  }
}

}  // namespace moescope
