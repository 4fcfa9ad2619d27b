// The files of moe-lrc, one per layer, with the layer as the two digits in their names:
//   raw/MODEL_LL_DATA.pt            bfloat16 logits [text, 512, expert]
//   merged/MODEL_LL.safetensors     the same, a key per data set
//   topk/MODEL_LL.safetensors       int8 ids [text, 512, k], a key per data set; int8 wraps, so bytes are meant
//   rank/MODEL_LL.safetensors       int8 ranks [text, 512, expert], the best has E − 1
// Files of one kind of one model are given together. Data sets become a tag.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/trace/import/formats/format_tools.h"
#include "core/trace/import/formats/torch_tools.h"

namespace moescope::moe_lrc {
namespace {

constexpr std::uint64_t text_tokens = 512;
constexpr std::uint64_t largest_k = 32;

enum class Kind : std::uint8_t { none, logits, ids, ranks };

Kind kind_of(const TensorView& tensor) {
  if (tensor.shape.size() != 3 || tensor.shape[1] != text_tokens || tensor.elements() == 0) return Kind::none;
  if (tensor.type == DType::bf16 || tensor.type == DType::f32 || tensor.type == DType::f16) return Kind::logits;
  if (tensor.type != DType::i8 && tensor.type != DType::u8) return Kind::none;
  // Ranks are a permutation of all experts, ids of few.
  const RawPlane plane = plane_of(tensor);
  std::vector<std::int64_t> row(plane.width);
  plane.integers(0, row);
  for (std::int64_t& v : row) v &= 0xFF;
  std::sort(row.begin(), row.end());
  bool permutation = true;
  for (std::size_t i = 0; i < row.size(); ++i) permutation = permutation && row[i] == static_cast<std::int64_t>(i);
  return permutation && plane.width > 1 ? Kind::ranks : plane.width <= largest_k ? Kind::ids : Kind::none;
}

std::optional<std::vector<TensorView>> tensors_of(SourceFile& file) {
  if (file.kind() == FileKind::safetensors && file.safetensors()) {
    if (file.safetensors()->metadata.contains("moescope")) return std::nullopt;
    std::vector<TensorView> whole;
    for (const TensorView& tensor : file.safetensors()->tensors) {
      if (tensor.bytes.size() == byte_size(tensor.type, tensor.shape)) whole.push_back(tensor);
    }
    return whole;
  }
  if (file.kind() == FileKind::zip && file.torch() && file.torch()->root.tensor() != nullptr)
    return plain_tensors(file.torch()->root);
  return std::nullopt;
}

ImportScore score(SourceFile& file) {
  const auto tensors = tensors_of(file);
  if (!tensors || tensors->empty()) return {};
  const Kind kind = kind_of(tensors->front());
  if (kind == Kind::none ||
      !std::all_of(tensors->begin(), tensors->end(), [&](const auto& t) { return kind_of(t) == kind; }))
    return {};
  return {75, "texts of 512 tokens, a tensor per data set"};
}

// LL of MODEL_LL_DATA or MODEL_LL: the last two digits between underscores or at the end.
int layer_in(const std::string& stem) {
  int found = -1;
  for (std::size_t at = 0; at + 2 < stem.size() + 0; ++at) {
    const auto digit = [&](std::size_t i) { return i < stem.size() && stem[i] >= '0' && stem[i] <= '9'; };
    const bool ends = at + 3 == stem.size() || (at + 3 < stem.size() && stem[at + 3] == '_');
    if (stem[at] == '_' && digit(at + 1) && digit(at + 2) && ends)
      found = (stem[at + 1] - '0') * 10 + (stem[at + 2] - '0');
  }
  return found;
}

// Ids of the k best of ranks, best first.
TensorView best_of(const TensorView& ranks, std::size_t k) {
  const RawPlane plane = plane_of(ranks);
  const std::size_t tokens = ranks.elements() / plane.width;
  std::vector<std::int64_t> row(plane.width);
  std::vector<std::int32_t> ids(tokens * k, -1);
  for (std::size_t t = 0; t < tokens; ++t) {
    plane.integers(t, row);
    for (std::size_t e = 0; e < row.size(); ++e) {
      const auto from_best = static_cast<std::int64_t>(row.size()) - 1 - (row[e] & 0xFF);
      if (from_best >= 0 && from_best < static_cast<std::int64_t>(k))
        ids[t * k + static_cast<std::size_t>(from_best)] = static_cast<std::int32_t>(e);
    }
  }
  return own_tensor(std::move(ids), DType::i32, {tokens, k});
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions& options, const WorkContext& work) {
  std::map<int, std::vector<TensorView>> layers;
  Kind kind = Kind::none;
  RawTrace out;
  for (const auto& file : files) {
    const auto tensors = tensors_of(*file);
    const int layer = layer_in(file->path().stem().string());
    if (!tensors || tensors->empty())
      return fail(ErrorKind::input, "there are no whole tensors in it", file->place(), "Copy the file again");
    if (layer < 0 && files.size() > 1)
      return fail(ErrorKind::input, "the name of the file does not say which layer it is of", file->place(),
                  "Name it MODEL_LL_DATA");
    for (TensorView tensor : *tensors) {
      const Kind found = kind_of(tensor);
      if (found == Kind::none || (kind != Kind::none && found != kind)) {
        return fail(ErrorKind::input, fmt::format("'{}' is not like the other tensors", tensor.name), file->place(),
                    "Import files of one kind");
      }
      kind = found;
      if (tensor.name == "tensor") {  // a .pt holds one data set, named by the file
        const std::string stem = file->path().stem().string();
        const std::size_t last = stem.rfind('_');
        tensor.name = last == std::string::npos ? stem : stem.substr(last + 1);
      }
      layers[std::max(0, layer)].push_back(std::move(tensor));
    }
  }
  std::uint32_t k = options.k != 0 ? options.k : options.model ? options.model->k : 0;
  if (kind == Kind::ranks && (k == 0 || k > used_code::max_filled)) {
    return fail(ErrorKind::input, "ranks do not say how many experts a token uses", files.front()->place(),
                "Give --top-k N or --model");
  }
  std::map<std::string, RawPiece> pieces;
  std::size_t place = 0;
  for (auto& [layer, tensors] : layers) {
    RawLayer row;
    row.layer = layer;
    if (kind != Kind::ids) row.experts = static_cast<std::uint32_t>(tensors.front().shape[2]);
    out.layers.push_back(row);
    for (TensorView& tensor : tensors) {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      RawPiece& piece = pieces[tensor.name];
      const std::size_t tokens = tensor.shape[0] * tensor.shape[1];
      if (piece.tokens != 0 && piece.tokens != tokens) {
        return fail(
            ErrorKind::input,
            fmt::format("'{}' has {} tokens at layer {} and {} elsewhere", tensor.name, tokens, layer, piece.tokens),
            "", "Import files of one run");
      }
      piece.tokens = tokens;
      RawGrid& grid = kind == Kind::logits ? piece.logits : piece.ids;
      grid.layers.resize(layers.size());
      if (tensor.type == DType::i8) tensor.type = DType::u8;
      grid.layers[place] = plane_of(kind == Kind::ranks ? best_of(tensor, k) : tensor);
    }
    ++place;
  }
  std::int32_t sequence = 0;
  for (auto& [name, piece] : pieces) {
    for (std::size_t t = 0; t < piece.tokens; ++t) {
      piece.sequence_ids.push_back(sequence + static_cast<std::int32_t>(t / text_tokens));
      piece.positions.push_back(static_cast<std::int32_t>(t % text_tokens));
    }
    sequence += static_cast<std::int32_t>(piece.tokens / text_tokens);
    piece.tags["dataset"] = name;
    out.pieces.push_back(std::move(piece));
  }
  out.layers_absolute = true;
  out.order = RawOrder::ranked;
  return out;
}

const RegisterImporter registered{
    {"moe-lrc", "moe-lrc routing", ".pt or safetensors [text, 512, expert or k] per layer (moe-lrc)", score, read}};

}  // namespace
}  // namespace moescope::moe_lrc
