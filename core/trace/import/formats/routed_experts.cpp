// Routed experts in the responses of SGLang and vLLM servers, one response or a list of them, as JSON or JSON lines.
// What a value is shows in itself:
//   a nested list [tokens, layers, k]                         vLLM 0.21
//   base64 of a .npy file                                     vLLM 0.22 and later
//   base64 of raw little-endian int32 (or routed_experts_dtype), [tokens, all layers, k]     SGLang
//   {"data": base64, "shape": […], "dtype", "start"}          wrappers
// It stands in meta_info.routed_experts, choices[i].routed_experts, choices[i].sgl_ext.routed_experts or
// sglext.routed_experts; vLLM 0.21 gives the prompt's part apart, in prompt_routed_experts. Arrays of the same shape
// that were saved with numpy (vLLM 0.20 and before) are read too. −1 = cached prefix, padding or a dense layer.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/io/base64.h"
#include "core/trace/import/formats/format_tools.h"

namespace moescope::routed_experts {
namespace {

using Json = nlohmann::json;

constexpr std::size_t looked_at = 4096;  // token rows of an array that are sampled

// Whether the last axis looks like choices of experts: no id twice, or all the same filler.
bool holds_choices(const TensorView& tensor) {
  const RawPlane plane = plane_of(tensor);
  if (plane.width == 0 || plane.width > used_code::max_filled) return false;
  const std::size_t rows = tensor.elements() / plane.width;
  std::vector<std::int64_t> ids(plane.width);
  std::size_t good = 0;
  std::int64_t highest = 0;
  for (std::size_t r = 0; r < std::min(rows, looked_at); ++r) {
    plane.integers(r, ids);
    std::erase_if(ids, [](std::int64_t id) { return id < 0; });
    if (ids.empty()) {
      ids.resize(plane.width);
      continue;
    }
    highest = std::max(highest, *std::max_element(ids.begin(), ids.end()));
    std::sort(ids.begin(), ids.end());
    const bool zeros = ids.back() == 0;
    if (!zeros && std::adjacent_find(ids.begin(), ids.end()) != ids.end()) return false;
    good += zeros ? 0U : 1U;
    ids.resize(plane.width);
  }
  return good > 0 && highest <= 65'535;
}

const Json* routed_in(const Json& object) {
  if (const Json* value = first_of(object, {"routed_experts", "prompt_routed_experts"})) return value;
  for (const char* inner : {"meta_info", "sgl_ext", "sglext"}) {
    const Json* const part = first_of(object, {inner});
    if (part == nullptr) continue;
    if (const Json* value = first_of(*part, {"routed_experts"})) return value;
  }
  return nullptr;
}

bool is_response(const Json& object) {
  if (routed_in(object) != nullptr) return true;
  const Json* const choices = first_of(object, {"choices"});
  return choices != nullptr && choices->is_array() &&
         std::any_of(choices->begin(), choices->end(), [](const Json& c) { return routed_in(c) != nullptr; });
}

ImportScore score(SourceFile& file) {
  if (file.kind() == FileKind::npy && file.npy()) {
    const TensorView& array = file.npy()->tensor;
    if (array.shape.size() == 3 && is_integer(array.type) && holds_choices(array)) {
      return {75, "an array [tokens, layers, k] without an expert twice in a row"};
    }
    return {};
  }
  if ((file.kind() != FileKind::json && file.kind() != FileKind::json_lines) || !file.first_json()) return {};
  const Json& json = *file.first_json();
  if (is_response(json)) return {95, "its responses have routed_experts"};
  if (json.is_array() && std::any_of(json.begin(), json.end(), is_response))
    return {95, "its responses have routed_experts"};
  // A file of responses may begin with a failed one.
  if (file.kind() == FileKind::json_lines &&
      file.text().substr(0, std::size_t{1} << 20U).find("\"routed_experts\"") != std::string_view::npos) {
    return {90, "its lines name routed_experts"};
  }
  return {};
}

class ResponseReader {
 public:
  ResponseReader(const ImportOptions& options, RawTrace& out) : options_(options), out_(out) {}

  // One response with all its choices. What cannot be read is counted and noted; the other responses stay.
  void add(const Json& response, const std::string& where) {
    read_tags(response);
    const auto added = add_choices(response, where);
    if (added) return;
    ++failed_;
    if (failures_.size() < 5) failures_.push_back(added.error().text());
    first_error_ = first_error_ ? first_error_ : added.error();
  }
  void finish(std::size_t layers_of_file) {
    if (failed_ > 0) {
      out_.notes.push_back(fmt::format("{} responses were left out: {}{}", failed_, fmt::join(failures_, "; "),
                                       failed_ > failures_.size() ? "; …" : ""));
    }
    out_.layers = layers_by_position(std::max(layers_, layers_of_file));
  }
  [[nodiscard]] const std::optional<Error>& first_error() const { return first_error_; }
  [[nodiscard]] std::size_t failed() const { return failed_; }
  void saw_layers(std::size_t n) { layers_ = std::max(layers_, n); }

 private:
  // A capture of ours keeps the tags of the prompt beside the response.
  void read_tags(const Json& response) {
    tags_.clear();
    const Json* const ours = first_of(response, {"moescope"});
    const Json* const tags = ours == nullptr ? nullptr : first_of(*ours, {"tags"});
    if (tags == nullptr || !tags->is_object()) return;
    for (const auto& [name, value] : tags->items()) {
      if (value.is_string()) tags_.emplace(name, value.get<std::string>());
    }
  }

  struct Decoded {
    TensorView tensor;  // [tokens, layers, k]
    std::optional<std::size_t> start;
    bool vllm = false;
  };

  [[nodiscard]] static std::vector<std::int32_t> token_ids(const Json* list) {
    const auto array = list == nullptr ? std::nullopt : json_array(*list, 1);
    return array ? array->integers() : std::vector<std::int32_t>{};
  }

  Expected<void> add_choices(const Json& response, const std::string& where) {
    if (!response.is_object()) return wrong("the response is no object", where);
    if (const Json* const error = first_of(response, {"error"})) {
      return fail(ErrorKind::input,
                  fmt::format("the server answered with an error: {:.200}",
                              error->dump(-1, ' ', false, Json::error_handler_t::replace)),
                  where, "See the server's log");
    }
    const Json* const choices = first_of(response, {"choices"});
    if (choices == nullptr || !choices->is_array() || choices->empty()) return add_sequence(response, response, where);
    for (const Json& choice : *choices) {
      if (auto added = add_sequence(response, choice, where); !added) return added;
    }
    return {};
  }

  Expected<void> add_sequence(const Json& response, const Json& choice, const std::string& where) {
    const Json* value = routed_in(choice);
    if (value == nullptr) value = routed_in(response);
    if (value == nullptr) {
      return fail(ErrorKind::input, "the response has no routed_experts", where,
                  "Start the server with --enable-return-routed-experts and ask for them");
    }
    const Json* meta = first_of(response, {"meta_info"});
    if (meta == nullptr) meta = &response;
    std::vector<std::int32_t> prompt = token_ids(first_of(choice, {"prompt_token_ids"}));
    if (prompt.empty()) prompt = token_ids(first_of(response, {"prompt_token_ids", "input_ids"}));
    std::vector<std::int32_t> completion =
        token_ids(first_of(choice, {"token_ids", "output_ids", "completion_token_ids"}));
    if (completion.empty()) completion = token_ids(first_of(response, {"output_ids", "completion_token_ids"}));
    const Json* const usage = first_of(response, {"usage"});
    const Json& told = usage != nullptr ? *usage : *meta;
    const auto prompt_count = integer_of(told, {"prompt_tokens"});
    const auto completion_count = integer_of(told, {"completion_tokens"});
    const Json* const prompt_part = first_of(response, {"prompt_routed_experts"});
    std::optional<std::size_t> expected;  // rows
    if (prompt_count && completion_count && *prompt_count >= 0 && *completion_count >= 1) {
      expected = static_cast<std::size_t>(*prompt_count) + static_cast<std::size_t>(*completion_count) - 1;
    } else if (!prompt.empty() && !completion.empty()) {
      expected = prompt.size() + completion.size() - 1;
    }
    const Json* const type = first_of(*meta, {"routed_experts_dtype"});
    const std::string dtype = type != nullptr && type->is_string() ? type->get<std::string>() : "int32";
    const std::int32_t sequence = sequences_++;
    if (prompt_part != nullptr && value != prompt_part) {  // two arrays: the prompt's and the answer's
      auto first = decode(*prompt_part, dtype, std::nullopt, where);
      if (!first) return fail(first.error());
      auto second = decode(*value, dtype, std::nullopt, where);
      if (!second) return fail(second.error());
      if (first->tensor.elements() == 0 || second->tensor.elements() == 0)
        return wrong("routed_experts is empty", where);
      second->start = first->tensor.shape[0];
      std::vector<std::int32_t> all = prompt;
      all.insert(all.end(), completion.begin(), completion.end());
      keep(*first, prompt, 0, sequence);
      keep(*second, std::move(all), prompt_count.value_or(static_cast<std::int64_t>(second->start.value_or(0))),
           sequence);
      return {};
    }
    auto decoded = decode(*value, dtype, expected, where);
    if (!decoded) return fail(decoded.error());
    if (decoded->tensor.elements() == 0) return wrong("routed_experts is empty", where);
    if (!decoded->start) {
      if (const auto start = integer_of(response, {"routed_experts_prompt_start", "routed_experts_start_len"});
          start && *start >= 0) {
        decoded->start = static_cast<std::size_t>(*start);
      }
    }
    std::vector<std::int32_t> all = std::move(prompt);
    const auto prompt_size = all.empty() ? prompt_count.value_or(-1) : static_cast<std::int64_t>(all.size());
    if (!all.empty() && !completion.empty()) {
      all.insert(all.end(), completion.begin(), completion.end());
    } else {
      all.clear();  // half of the ids says nothing about which rows they are
    }
    keep(*decoded, std::move(all), prompt_size, sequence);
    return {};
  }

  void keep(const Decoded& from, std::vector<std::int32_t> tokens, std::int64_t prompt, std::int32_t sequence) {
    RawPiece piece;
    piece.tokens = from.tensor.shape[0];
    piece.ids = grid_of(from.tensor, RawAxes::token_layer_item);
    piece.sequence_ids.assign(piece.tokens, sequence);
    piece.sequence_tokens = std::move(tokens);
    piece.first_position = from.start.value_or(0);
    piece.empty_is_cached = from.vllm;
    piece.tags = tags_;
    if (prompt >= 0) {
      for (std::size_t t = 0; t < piece.tokens; ++t) {
        piece.phases.push_back(static_cast<std::int64_t>(*piece.first_position + t) < prompt ? 0 : 1);
      }
    }
    saw_layers(from.tensor.shape[1]);
    out_.pieces.push_back(std::move(piece));
  }

  Expected<Decoded> decode(const Json& value, const std::string& dtype, std::optional<std::size_t> rows,
                           const std::string& where) {
    if (value.is_array()) {
      auto array = json_array(value, 3);
      if (!array) return wrong("the nested list is not [tokens, layers, k]", where);
      return Decoded{own_tensor(array->integers(), DType::i32, array->shape), std::nullopt, true};
    }
    if (value.is_object()) return decode_wrapped(value, rows, where);
    if (!value.is_string()) return wrong("routed_experts is neither a list, a string nor an object", where);
    auto bytes = decode_base64(value.get_ref<const std::string&>());
    if (!bytes) return wrong("routed_experts is not base64, or is cut off", where);
    auto block = std::make_shared<const std::vector<std::byte>>(std::move(*bytes));
    if (looks_like_npy(*block)) {
      auto array = read_npy(*block, block, where);
      if (!array) return fail(array.error());
      if (array->missing_bytes > 0) return wrong("the array in routed_experts is cut off", where);
      if (array->tensor.shape.size() != 3 || !is_integer(array->tensor.type)) {
        return wrong("the array in routed_experts is not whole numbers [tokens, layers, k]", where);
      }
      return Decoded{array->tensor, std::nullopt, true};
    }
    return decode_raw(block, dtype, rows, where);
  }

  Expected<Decoded> decode_wrapped(const Json& value, std::optional<std::size_t> rows, const std::string& where) {
    const Json* const data = first_of(value, {"data"});
    const Json* const shape = first_of(value, {"shape"});
    const Json* const type = first_of(value, {"dtype"});
    if (data == nullptr || !data->is_string()) return wrong("routed_experts is an object without data", where);
    const auto dimensions = shape == nullptr ? std::nullopt : json_array(*shape, 1);
    auto bytes = decode_base64(data->get_ref<const std::string&>());
    if (!bytes) return wrong("routed_experts.data is not base64, or is cut off", where);
    auto block = std::make_shared<const std::vector<std::byte>>(std::move(*bytes));
    const std::string name = type != nullptr && type->is_string() ? type->get<std::string>() : "int32";
    Decoded out;
    if (!dimensions) {
      auto raw = decode_raw(block, name, rows, where);
      if (!raw) return raw;
      out = std::move(*raw);
    } else {
      const auto element = type_of(name);
      std::vector<std::uint64_t> sizes;
      for (const std::int32_t n : dimensions->integers())
        sizes.push_back(n < 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(n));
      const auto size = element && sizes.size() == 3 ? byte_size(*element, sizes) : std::nullopt;
      if (!size || *size != block->size()) return wrong("the shape of routed_experts does not match its data", where);
      out.tensor.type = *element;
      out.tensor.shape = sizes;
      out.tensor.bytes = *block;
      out.tensor.owner = block;
    }
    if (const auto start = integer_of(value, {"start"}); start && *start >= 0)
      out.start = static_cast<std::size_t>(*start);
    return out;
  }

  [[nodiscard]] static std::optional<DType> type_of(std::string_view name) {
    if (name == "int32") return DType::i32;
    if (name == "int16") return DType::i16;
    if (name == "uint16") return DType::u16;
    if (name == "uint8") return DType::u8;
    if (name == "int64") return DType::i64;
    return std::nullopt;
  }

  // Raw numbers carry no shape: layers and k come from the model or the user, and the rows check them.
  Expected<Decoded> decode_raw(const std::shared_ptr<const std::vector<std::byte>>& block, const std::string& dtype,
                               std::optional<std::size_t> rows, const std::string& where) {
    const auto type = type_of(dtype);
    if (!type) return wrong(fmt::format("routed_experts has the unknown type '{}'", dtype), where);
    const std::size_t size = static_cast<std::size_t>(dtype_bits(*type)) / 8;
    const std::size_t numbers = block->size() / size;
    const std::uint32_t k = options_.k != 0 ? options_.k : options_.model ? options_.model->k : 0;
    if (k == 0) {
      return fail(ErrorKind::input, "routed_experts is raw numbers without a shape", where,
                  "Give --model with the model's config.json, or --top-k and --layers");
    }
    std::vector<std::size_t> layers;
    if (options_.layers != 0) layers.push_back(options_.layers);
    if (options_.layers == 0 && options_.model) layers = {options_.model->moe.size(), options_.model->moe_layers()};
    if (layers.empty() && rows && *rows > 0 && numbers % (*rows * k) == 0) layers.push_back(numbers / (*rows * k));
    if (layers.empty()) {
      return fail(ErrorKind::input, "routed_experts is raw numbers, and how many layers they are of is not known",
                  where, "Give --model with the model's config.json, or --layers");
    }
    for (const std::size_t n : layers) {
      if (block->size() % (n * k * size) != 0) continue;
      const std::size_t found = block->size() / (n * k * size);
      if (rows && found > *rows + 1 && layers.size() > 1 && n != layers.back()) continue;
      Decoded out;
      out.tensor.type = *type;
      out.tensor.shape = {found, n, k};
      out.tensor.bytes = *block;
      out.tensor.owner = block;
      // Rows left out at the front: the server was asked to begin later.
      if (rows && found < *rows) out.start = *rows - found;
      return out;
    }
    return wrong(fmt::format("{} numbers are no whole tokens of {} layers and {} experts", numbers, layers.front(), k),
                 where);
  }

  static Unexpected wrong(std::string what, const std::string& where) {
    return fail(ErrorKind::input, std::move(what), where, "Ask the server again");
  }

  const ImportOptions& options_;
  RawTrace& out_;
  std::map<std::string, std::string> tags_;  // of the response being read
  std::int32_t sequences_ = 0;
  std::size_t layers_ = 0, failed_ = 0;
  std::vector<std::string> failures_;
  std::optional<Error> first_error_;
};

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions& options, const WorkContext& work) {
  RawTrace out;
  out.order = RawOrder::ranked;
  ResponseReader reader(options, out);
  for (const auto& file : files) {
    if (file->kind() == FileKind::npy) {
      if (!file->npy()) return fail(file->npy().error());
      const NpyArray& array = *file->npy();
      if (array.tensor.shape.size() != 3 || !is_integer(array.tensor.type) || array.tensor.elements() == 0) {
        return fail(ErrorKind::input, "the array is not whole numbers [token, layer, k]", file->place(),
                    "Choose another --format");
      }
      if (array.missing_bytes > 0)
        out.notes.push_back(
            fmt::format("{} is cut off by {} bytes; its whole tokens were read.", file->name(), array.missing_bytes));
      RawPiece piece;
      piece.tokens = array.tensor.shape[0];
      piece.ids = grid_of(array.tensor, RawAxes::token_layer_item);
      piece.sequence_ids.assign(piece.tokens, static_cast<std::int32_t>(out.pieces.size()));
      reader.saw_layers(array.tensor.shape[1]);
      out.pieces.push_back(std::move(piece));
    } else if (file->kind() == FileKind::json) {
      if (!file->json()) return fail(file->json().error());
      const Json& json = *file->json();
      if (!json.is_array()) {
        reader.add(json, file->place());
      } else {
        for (std::size_t i = 0; i < json.size(); ++i)
          reader.add(json[i], fmt::format("{}, response {}", file->place(), i));
      }
    } else {
      std::string note;
      const auto done = each_json_line(*file, note, [&](const Json& response, std::size_t line) -> Expected<void> {
        if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
        reader.add(response, fmt::format("{}, line {}", file->place(), line));
        return {};
      });
      if (!done) return fail(done.error());
      if (!note.empty()) out.notes.push_back(note);
    }
  }
  if (out.pieces.empty() && reader.first_error()) return fail(*reader.first_error());
  reader.finish(0);
  return out;
}

const RegisterImporter registered{
    {"routed-experts", "routed experts of SGLang or vLLM responses",
     "JSON or JSON lines of SGLang or vLLM responses with routed_experts, or .npy [tokens, layers, k]", score, read}};

}  // namespace
}  // namespace moescope::routed_experts
