// The OLMoE analysis' JSON lines, one text per line:
//   {"input_ids": [2048 ids], "predicted_token_ids": […], "exp_ids": [token][rank][layer]}
// Rank comes before layer.
#include <fmt/format.h>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::olmoe {
namespace {

using Json = nlohmann::json;

ImportScore score(SourceFile& file) {
  if ((file.kind() != FileKind::json && file.kind() != FileKind::json_lines) || !file.first_json()) return {};
  const Json* const ids = first_of(*file.first_json(), {"exp_ids"});
  if (ids == nullptr || !ids->is_array()) return {};
  return {95, "its lines have exp_ids"};
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  RawTrace out;
  out.order = RawOrder::ranked;
  for (const auto& file : files) {
    std::string note;
    const auto done = each_json_line(*file, note, [&](const Json& line, std::size_t number) -> Expected<void> {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      const std::string where = fmt::format("{}, line {}", file->place(), number);
      const Json* const list = first_of(line, {"exp_ids"});
      auto array = list == nullptr ? std::nullopt : json_array(*list, 3);
      if (!array || array->values.empty())
        return fail(ErrorKind::input, "exp_ids is not [token][rank][layer]", where, "Copy the file again");
      RawPiece piece;
      piece.tokens = array->shape[0];
      const std::size_t layers = array->shape[2];
      if (!out.layers.empty() && out.layers.size() != layers) {
        return fail(ErrorKind::input, fmt::format("{} layers where earlier lines have {}", layers, out.layers.size()),
                    where, "Import lines of one model");
      }
      if (out.layers.empty()) out.layers = layers_by_position(layers);
      piece.ids = grid_of(own_tensor(array->integers(), DType::i32, array->shape), RawAxes::token_item_layer);
      piece.sequence_ids.assign(piece.tokens, static_cast<std::int32_t>(out.pieces.size()));
      if (const Json* const ids = first_of(line, {"input_ids"})) {
        if (const auto tokens = json_array(*ids, 1)) piece.sequence_tokens = tokens->integers();
      }
      piece.first_position = 0;
      out.pieces.push_back(std::move(piece));
      return {};
    });
    if (!done) return fail(done.error());
    if (!note.empty()) out.notes.push_back(note);
  }
  return out;
}

const RegisterImporter registered{
    {"olmoe", "OLMoE routing analysis", "JSON lines with input_ids and exp_ids (OLMoE analysis)", score, read}};

}  // namespace
}  // namespace moescope::olmoe
