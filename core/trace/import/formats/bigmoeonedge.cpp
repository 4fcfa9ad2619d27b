// BigMoeOnEdge route traces: one CSV record per chosen expert.
//   # route_trace v1
//   # model=… arch=qwen3moe n_layer=48 n_expert=128 n_expert_used=6
//   turn,phase,step,layer,slot,expert,weight,residency,expert_bytes[,dropped]
// phase 0 prefill, 1 decode; step = token of the turn; slot = rank; weight nan = not known; residency 0 miss, 1 hit,
// 2 hit by prefetch. n_expert_used is what was run, which may be fewer than the model is configured for.
#include <fmt/format.h>

#include <map>
#include <tuple>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::bigmoeonedge {
namespace {

constexpr std::int64_t index_limit = 1 << 30;

ImportScore score(SourceFile& file) {
  if (!header_begins(file, "turn,phase,step,layer,slot,expert,weight")) return {};
  return {95, "its header has turn, phase, step, layer, slot, expert, weight"};
}

struct Record {
  std::int32_t turn, phase, step, layer, slot, expert;
  float weight, residency, dropped;
};

// "name=value" words of the comments.
std::map<std::string, std::string> facts_of(const std::vector<std::string>& comments) {
  std::map<std::string, std::string> out;
  for (const std::string& comment : comments) {
    if (comment.starts_with("layer=")) continue;
    std::size_t at = 0;
    while (at < comment.size()) {
      const std::size_t end = std::min(comment.find(' ', at), comment.size());
      const std::string word = comment.substr(at, end - at);
      const std::size_t equals = word.find('=');
      if (equals != std::string::npos) out.emplace(word.substr(0, equals), word.substr(equals + 1));
      at = end + 1;
    }
  }
  return out;
}

std::string parse(std::span<const std::string_view> f, Record& out) {
  const auto number = [](std::string_view field, std::int32_t& to) {
    const auto value = whole_number(field);
    if (!value || *value < 0 || *value > index_limit) return false;
    to = static_cast<std::int32_t>(*value);
    return true;
  };
  if (!number(f[0], out.turn) || !number(f[1], out.phase) || !number(f[2], out.step) || !number(f[3], out.layer) ||
      !number(f[4], out.slot) || !number(f[5], out.expert)) {
    return "turn, phase, step, layer, slot and expert are not all whole numbers";
  }
  if (out.phase > 1) return fmt::format("phase {} is neither 0 nor 1", out.phase);
  const auto weight = real_number(f[6]);
  if (!weight) return fmt::format("'{}' is no weight", f[6]);
  out.weight = static_cast<float>(*weight);
  out.residency = static_cast<float>(real_number(f[7]).value_or(-1));
  out.dropped = static_cast<float>(real_number(f[8]).value_or(0));
  return {};
}

Expected<void> read_file(const SourceFile& file, RawTrace& out, std::int32_t first_sequence, const WorkContext& work) {
  std::vector<Record> records;
  std::string note;
  std::vector<std::string> comments;
  bool dropped = false;
  auto read =
      each_record(file, {{"turn", "phase", "step", "layer", "slot", "expert", "weight", "residency", "dropped"}, 7},
                  note, comments, work, [&](std::span<const std::string_view> fields) {
                    Record record{};
                    std::string wrong = parse(fields, record);
                    if (wrong.empty()) records.push_back(record);
                    dropped = dropped || !fields[8].empty();
                    return wrong;
                  });
  if (!read) return read;
  if (!note.empty()) out.notes.push_back(note);
  // Prefill comes layer by layer, so tokens are found first: turn, then prefill before decode, then step.
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::size_t> tokens;
  std::map<std::int32_t, std::int32_t> prefill, first_decode;
  for (const Record& r : records) {
    if (!tokens.emplace(std::tuple(r.turn, r.phase, r.step), 0).second) continue;
    if (r.phase == 0) prefill[r.turn] = std::max(prefill[r.turn], r.step + 1);
    if (r.phase == 1) {
      const auto at = first_decode.emplace(r.turn, r.step).first;
      at->second = std::min(at->second, r.step);
    }
  }
  RawPiece piece;
  for (auto& [key, index] : tokens) {
    const auto [turn, phase, step] = key;
    index = piece.tokens++;
    // Decode steps either go on counting or begin again.
    const bool again = phase == 1 && first_decode[turn] < prefill[turn];
    piece.sequence_ids.push_back(first_sequence + turn);
    piece.positions.push_back(again ? prefill[turn] + step : step);
    piece.phases.push_back(static_cast<std::uint8_t>(phase));
  }
  const std::size_t size = file.bytes().size();
  RawTable<std::int32_t> ids(size);
  RawTable<float> weights(size), residency(size), drops(size);
  for (const Record& r : records) {
    const std::size_t token = tokens.at(std::tuple(r.turn, r.phase, r.step));
    const auto layer = static_cast<std::size_t>(r.layer);
    const auto slot = static_cast<std::size_t>(r.slot);
    if (!ids.set(layer, token, slot, r.expert) || !weights.set(layer, token, slot, r.weight)) {
      return fail(ErrorKind::input, too_large(fmt::format("layer {}, slot {}", r.layer, r.slot)), file.place(),
                  "Check the columns");
    }
    if (r.residency >= 0) (void)residency.set(layer, token, slot, r.residency);
    if (dropped) (void)drops.set(layer, token, slot, r.dropped);
  }
  const auto facts = facts_of(comments);
  const auto fact = [&](const char* name) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string{} : found->second;
  };
  const auto layers =
      static_cast<std::size_t>(std::clamp<std::int64_t>(whole_number(fact("n_layer")).value_or(0), 0, 100'000));
  const auto experts = std::clamp<std::int64_t>(whole_number(fact("n_expert")).value_or(0), 0, 1 << 20);
  out.model_name = fact("model").substr(fact("model").find_last_of('/') + 1);
  out.model_family = fact("arch");
  if (out.layers.size() < std::max(ids.layers(), layers))
    out.layers = layers_by_position(std::max(ids.layers(), layers));
  for (RawLayer& layer : out.layers) layer.experts = static_cast<std::uint32_t>(experts);
  piece.ids = ids.take(piece.tokens);
  piece.weights = weights.take(piece.tokens);
  if (!residency.empty()) piece.slot_values["residency"] = residency.take(piece.tokens);
  if (dropped) piece.slot_values["dropped"] = drops.take(piece.tokens);
  out.pieces.push_back(std::move(piece));
  return {};
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  RawTrace out;
  out.layers_absolute = true;
  out.order = RawOrder::ranked;
  std::int32_t first_sequence = 0;
  for (const auto& file : files) {
    if (auto done = read_file(*file, out, first_sequence, work); !done) return fail(done.error());
    for (const std::int32_t id : out.pieces.back().sequence_ids) first_sequence = std::max(first_sequence, id + 1);
  }
  return out;
}

const RegisterImporter registered{{"bigmoeonedge", "BigMoeOnEdge route trace",
                                   "CSV with turn, phase, step, layer, slot, expert, weight (BigMoeOnEdge)", score,
                                   read}};

}  // namespace
}  // namespace moescope::bigmoeonedge
