// Router logits as notebooks save what output_router_logits=True gives: one array [token, expert] per MoE layer (or
// [batch, position, expert]), stacked or under a name each, in safetensors, .npy, .npz or .pt.
#include "core/trace/import/formats/router_logits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/trace/import/formats/format_tools.h"
#include "core/trace/import/formats/torch_tools.h"

namespace moescope {
namespace {

constexpr std::uint64_t largest_experts = 4096;
constexpr std::size_t looked_at = 256;

bool is_float(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f64;
}

// Neither counts (whole numbers of 0 or more) nor constants.
bool looks_like_scores(const TensorView& tensor) {
  RawPlane plane = plane_of(tensor);
  const std::size_t rows = tensor.elements() / std::max<std::size_t>(1, plane.width);
  std::vector<float> row(plane.width);
  for (std::size_t r = 0; r < std::min(rows, looked_at); ++r) {
    plane.numbers(r, row);
    if (std::any_of(row.begin(), row.end(), [](float v) { return v < 0 || std::trunc(v) != v; })) return true;
  }
  return false;
}

// The last whole number in a name, -1 without one.
int number_in(const std::string& name) {
  const std::size_t end = name.find_last_of("0123456789");
  if (end == std::string::npos) return -1;
  std::size_t begin = end;
  while (begin > 0 && name[begin - 1] >= '0' && name[begin - 1] <= '9') --begin;
  return static_cast<int>(whole_number(std::string_view(name).substr(begin, end - begin + 1)).value_or(-1));
}

// N of "layers.N" in a name, -1 without.
int absolute_layer(const std::string& name) {
  const std::size_t at = name.find("layers.");
  if (at == std::string::npos) return -1;
  std::size_t end = at + 7;
  while (end < name.size() && name[end] >= '0' && name[end] <= '9') ++end;
  return static_cast<int>(
      std::min<std::int64_t>(whole_number(std::string_view(name).substr(at + 7, end - at - 7)).value_or(-1), 99'999));
}

std::vector<TensorView> tensors_of(const std::vector<NpyArray>& arrays) {
  std::vector<TensorView> out;
  out.reserve(arrays.size());
  for (const NpyArray& array : arrays) out.push_back(array.tensor);
  return out;
}

ImportScore score(SourceFile& file) {
  if (file.kind() == FileKind::npy && file.npy()) return score_logits({file.npy()->tensor});
  if (file.kind() == FileKind::safetensors && file.safetensors()) {
    if (file.safetensors()->metadata.contains("moescope")) return {};
    return score_logits(file.safetensors()->tensors);
  }
  if (file.kind() != FileKind::zip) return {};
  if (file.torch()) return score_logits(plain_tensors(file.torch()->root));
  return file.npz() ? score_logits(tensors_of(*file.npz())) : ImportScore{};
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext&) {
  RawTrace out;
  for (const auto& file : files) {
    std::vector<TensorView> arrays;
    std::vector<std::string> notes;
    if (file->kind() == FileKind::npy) {
      if (!file->npy()) return fail(file->npy().error());
      arrays.push_back(file->npy()->tensor);
      if (file->npy()->missing_bytes > 0) {
        notes.push_back(fmt::format("{} is cut off by {} bytes; what is whole was read.", file->name(),
                                    file->npy()->missing_bytes));
      }
    } else if (file->kind() == FileKind::safetensors) {
      if (!file->safetensors()) return fail(file->safetensors().error());
      for (const TensorView& tensor : file->safetensors()->tensors) {
        if (tensor.bytes.size() == byte_size(tensor.type, tensor.shape)) {
          arrays.push_back(tensor);
        } else {
          notes.push_back(fmt::format("{} is cut off: '{}' was left out.", file->name(), tensor.name));
        }
      }
    } else if (file->kind() == FileKind::zip && file->torch()) {
      arrays = plain_tensors(file->torch()->root);
    } else if (file->kind() == FileKind::zip) {
      // A broken .pt is told by its own reader, an archive of arrays by the other.
      if (!file->npz()) return fail(file->torch().error());
      arrays = tensors_of(*file->npz());
    } else {
      return fail(ErrorKind::input, "router logits are read from safetensors, .npy, .npz and .pt", file->place(),
                  "Choose another --format");
    }
    auto trace = logits_trace(std::move(arrays), file->place());
    if (!trace) return trace;
    trace->notes.insert(trace->notes.end(), notes.begin(), notes.end());
    if (files.size() == 1) return trace;
    // Several files: the tokens of one follow those of the other.
    if (!out.layers.empty() && out.layers.size() != trace->layers.size()) {
      return fail(ErrorKind::input,
                  fmt::format("{} layers where the first file has {}", trace->layers.size(), out.layers.size()),
                  file->place(), "Import files of one model");
    }
    out.layers = trace->layers;
    out.layers_absolute = trace->layers_absolute;
    out.notes.insert(out.notes.end(), trace->notes.begin(), trace->notes.end());
    for (RawPiece& piece : trace->pieces) out.pieces.push_back(std::move(piece));
  }
  out.tool = "router logits";
  return out;
}

const RegisterImporter registered{
    {"router-logits", "router logits",
     "router logits [token, expert] per layer in safetensors, .npy, .npz or .pt (Hugging Face)", score, read}};

}  // namespace

ImportScore score_logits(const std::vector<TensorView>& arrays) {
  if (arrays.empty()) return {};
  const TensorView& first = arrays.front();
  const bool stacked = arrays.size() == 1;
  for (const TensorView& array : arrays) {
    const std::size_t axes = array.shape.size();
    if (!is_float(array.type) || axes < 2 || axes > (stacked ? 4U : 3U) || array.shape != first.shape ||
        array.elements() == 0)
      return {};
    if (array.shape.back() < 2 || array.shape.back() > largest_experts) return {};
    if (array.bytes.size() < byte_size(array.type, array.shape)) return {};
  }
  if (!looks_like_scores(first)) return {};
  const bool named = std::all_of(arrays.begin(), arrays.end(), [](const TensorView& a) {
    return a.name.find("logit") != std::string::npos || a.name.find("router") != std::string::npos ||
           a.name.find("gate") != std::string::npos;
  });
  return {named ? 80 : 60,
          stacked ? "floats with experts as the last axis"
                  : fmt::format("{} arrays of one shape, floats with experts as the last axis", arrays.size())};
}

Expected<RawTrace> logits_trace(std::vector<TensorView> arrays, const std::string& where) {
  if (arrays.empty()) return fail(ErrorKind::input, "there are no whole arrays in it", where, "Save the logits again");
  RawTrace out;
  RawPiece piece;
  const auto take = [&](const TensorView& array) -> Expected<void> {
    if (!is_float(array.type) || array.shape.size() < 2 || array.shape.back() == 0) {
      return fail(ErrorKind::input, fmt::format("'{}' is not floats [token, expert]", array.name), where,
                  "Save one array per MoE layer");
    }
    const std::size_t tokens = array.elements() / array.shape.back();
    if (!piece.logits.layers.empty() && tokens != piece.tokens) {
      return fail(ErrorKind::input,
                  fmt::format("'{}' has {} tokens where other layers have {}", array.name, tokens, piece.tokens), where,
                  "Save one forward pass at a time");
    }
    piece.tokens = tokens;
    if (array.shape.size() == 3) {
      piece.sequence_ids.clear();
      piece.positions.clear();
      for (std::uint64_t s = 0; s < array.shape[0]; ++s) {
        for (std::uint64_t p = 0; p < array.shape[1]; ++p) {
          piece.sequence_ids.push_back(static_cast<std::int32_t>(s));
          piece.positions.push_back(static_cast<std::int32_t>(p));
        }
      }
    }
    piece.logits.layers.push_back(plane_of(array));
    return {};
  };
  if (arrays.size() == 1 && arrays.front().shape.size() >= 3) {  // layers in front
    const TensorView& all = arrays.front();
    const std::uint64_t layers = all.shape.front();
    TensorView layer = all;
    layer.shape.erase(layer.shape.begin());
    const std::uint64_t size = byte_size(all.type, layer.shape).value_or(0);
    for (std::uint64_t l = 0; l < layers; ++l) {
      layer.bytes = all.bytes.subspan(l * size, size);
      layer.name = fmt::format("layer {}", l);
      if (auto taken = take(layer); !taken) return fail(taken.error());
    }
    out.layers = layers_by_position(layers);
  } else {
    std::stable_sort(arrays.begin(), arrays.end(), [](const TensorView& a, const TensorView& b) {
      return std::pair(number_in(a.name), a.name) < std::pair(number_in(b.name), b.name);
    });
    out.layers_absolute =
        std::all_of(arrays.begin(), arrays.end(), [](const TensorView& a) { return absolute_layer(a.name) >= 0; });
    if (out.layers_absolute) {
      std::stable_sort(arrays.begin(), arrays.end(), [](const TensorView& a, const TensorView& b) {
        return absolute_layer(a.name) < absolute_layer(b.name);
      });
    }
    for (const TensorView& array : arrays) {
      if (auto taken = take(array); !taken) return fail(taken.error());
      RawLayer layer;
      layer.layer = out.layers_absolute ? absolute_layer(array.name) : static_cast<int>(out.layers.size());
      out.layers.push_back(layer);
    }
  }
  out.pieces.push_back(std::move(piece));
  return out;
}

}  // namespace moescope
