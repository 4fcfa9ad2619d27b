// Generic JSON lines: one object per token and layer, as many tools write them.
//   {"layer_idx": 3, "token_idx": 17, "selected_ids": [5, 40], "gate_weights": [0.7, 0.3]}
// Keys (the first that is there counts): layer, layer_idx, layer_id; token, token_idx, token_index; selected_ids,
// expert_ids, experts, topk_ids, top_indices; optional: gate_weights, weights, topk_weights; token_id; sequence,
// sequence_id, request_id (a number); position; phase ("prefill", "decode").
#include <fmt/format.h>

#include <map>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::json_lines {
namespace {

using Json = nlohmann::json;
constexpr std::int64_t layer_limit = 100'000;
constexpr std::int64_t token_limit = std::int64_t{1} << 31U;

const Json* ids_of(const Json& line) {
  return first_of(line, {"selected_ids", "expert_ids", "experts", "topk_ids", "top_indices"});
}
std::optional<std::int64_t> layer_of(const Json& line) {
  return integer_of(line, {"layer", "layer_idx", "layer_id"});
}
std::optional<std::int64_t> token_of(const Json& line) {
  return integer_of(line, {"token", "token_idx", "token_index"});
}

ImportScore score(SourceFile& file) {
  if ((file.kind() != FileKind::json && file.kind() != FileKind::json_lines) || !file.first_json()) return {};
  const Json& line = *file.first_json();
  const Json* const ids = ids_of(line);
  if (!layer_of(line) || !token_of(line) || ids == nullptr || !ids->is_array()) return {};
  return {70, "its lines have a layer, a token and the chosen experts"};
}

struct Facts {
  std::int32_t id = -1, sequence = -1, position = -1;
  std::uint8_t phase = 0xFF;
};

class LineReader {
 public:
  explicit LineReader(std::size_t source_bytes) : ids_(source_bytes), weights_(source_bytes) {}

  Expected<void> add(const Json& line, const std::string& where) {
    const auto layer = layer_of(line);
    const auto token = token_of(line);
    const Json* const list = ids_of(line);
    const auto ids = list == nullptr ? std::nullopt : json_array(*list, 1);
    if (!layer || !token || !ids || *layer < 0 || *layer >= layer_limit || *token < 0 || *token >= token_limit) {
      return fail(ErrorKind::input, "the line has no layer, token and list of experts", where,
                  "Keys: layer, token, selected_ids, gate_weights");
    }
    // Sequences may count their tokens each from 0.
    const auto sequence = integer_of(line, {"sequence", "sequence_id", "request_id"}).value_or(-1);
    const auto at = tokens_.emplace(std::pair(sequence, *token), tokens_.size()).first->second;
    const auto experts = ids->integers();
    for (std::size_t s = 0; s < experts.size(); ++s) {
      if (!ids_.set(static_cast<std::size_t>(*layer), at, s, experts[s])) {
        return fail(ErrorKind::input, too_large("the trace"), where, "Import a part of it");
      }
    }
    const Json* const gates = first_of(line, {"gate_weights", "weights", "topk_weights"});
    if (const auto weights = gates == nullptr ? std::nullopt : json_array(*gates, 1);
        weights && weights->values.size() == experts.size()) {
      for (std::size_t s = 0; s < experts.size(); ++s) {
        (void)weights_.set(static_cast<std::size_t>(*layer), at, s, static_cast<float>(weights->values[s]));
      }
    }
    if (facts_.size() <= at) facts_.resize(at + 1);
    Facts& facts = facts_[at];
    const auto small = [](std::optional<std::int64_t> n) {
      return n && *n >= 0 && *n < token_limit ? static_cast<std::int32_t>(*n) : -1;
    };
    facts.sequence = small(sequence);
    facts.id = std::max(facts.id, small(integer_of(line, {"token_id"})));
    facts.position = std::max(facts.position, small(integer_of(line, {"position", "pos"})));
    if (const Json* const phase = first_of(line, {"phase"})) {
      if (*phase == "prefill") facts.phase = 0;
      if (*phase == "decode") facts.phase = 1;
    }
    return {};
  }

  void finish(RawTrace& out) {
    RawPiece piece;
    piece.tokens = ids_.tokens();
    facts_.resize(piece.tokens);
    if (out.layers.size() < ids_.layers()) out.layers = layers_by_position(ids_.layers());
    piece.ids = ids_.take(piece.tokens);
    if (!weights_.empty()) piece.weights = weights_.take(piece.tokens);
    const auto column = [&](auto member, auto& to, auto absent) {
      const bool any = std::any_of(facts_.begin(), facts_.end(), [&](const Facts& f) { return f.*member != absent; });
      for (std::size_t i = 0; any && i < facts_.size(); ++i) to.push_back(facts_[i].*member);
    };
    column(&Facts::id, piece.token_ids, -1);
    column(&Facts::sequence, piece.sequence_ids, -1);
    column(&Facts::position, piece.positions, -1);
    column(&Facts::phase, piece.phases, std::uint8_t{0xFF});
    out.pieces.push_back(std::move(piece));
  }

 private:
  RawTable<std::int32_t> ids_;
  RawTable<float> weights_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> tokens_;
  std::vector<Facts> facts_;
};

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  RawTrace out;
  out.layers_absolute = true;
  for (const auto& file : files) {
    LineReader reader(file->bytes().size());
    std::string note;
    const auto done = each_json_line(*file, note, [&](const Json& line, std::size_t number) -> Expected<void> {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      return reader.add(line, fmt::format("{}, line {}", file->place(), number));
    });
    if (!done) return fail(done.error());
    if (!note.empty()) out.notes.push_back(note);
    reader.finish(out);
  }
  return out;
}

const RegisterImporter registered{
    {"jsonl", "JSON lines of routes", "JSON lines with layer, token and selected_ids", score, read}};

}  // namespace
}  // namespace moescope::json_lines
