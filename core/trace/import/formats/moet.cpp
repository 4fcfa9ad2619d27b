// MOET binary traces of a llama.cpp shim, little-endian:
//   u32 {"MOET", version 2 or 3, n_layer, n_expert, top_k, 0}, u64 records
//   a record: u16 layer, u16 0, u32 token, u16 id[k], f32 weight[k], in version 3 f32 norm of each expert's output[k]
// Tokens may be counted anew in every batch: a layer that comes with a token it had already begins another batch.
#include <fmt/format.h>

#include <cstring>
#include <map>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::moet {
namespace {

constexpr std::size_t header_bytes = 32;
constexpr std::uint32_t magic = 0x54454F4D;
constexpr std::uint32_t largest_layers = 100'000, largest_experts = 65'535;

struct Header {
  std::uint32_t magic = 0, version = 0, layers = 0, experts = 0, k = 0, zero = 0;
  std::uint64_t records = 0;
};

Header header_of(const SourceFile& file) {
  Header out;
  if (file.bytes().size() >= header_bytes) std::memcpy(&out, file.bytes().data(), header_bytes);
  return out;
}

ImportScore score(SourceFile& file) {
  if (header_of(file).magic != magic) return {};
  return {100, "it begins with MOET"};
}

template <typename T>
T at(const std::byte* from) {
  T value{};
  std::memcpy(&value, from, sizeof(T));
  return value;
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  RawTrace out;
  if (files.size() > 1)
    return fail(ErrorKind::usage, "several MOET files cannot become one trace", files[1]->place(),
                "Import one at a time");
  const SourceFile& file = *files.front();
  const Header header = header_of(file);
  if (header.magic != magic || header.version < 2 || header.version > 3 || header.layers == 0 ||
      header.layers > largest_layers || header.experts == 0 || header.experts > largest_experts || header.k == 0 ||
      header.k > used_code::max_filled) {
    return fail(ErrorKind::input,
                fmt::format("the header is wrong: version {}, {} layers, {} experts, {} per token", header.version,
                            header.layers, header.experts, header.k),
                file.place() + ", byte 0", "Versions 2 and 3 are read; record the trace again");
  }
  const std::size_t k = header.k;
  const bool norms = header.version == 3;
  const std::size_t size = 8 + k * (norms ? 10U : 6U);
  const std::uint64_t whole = (file.bytes().size() - header_bytes) / size;
  if (whole < header.records) {
    out.notes.push_back(fmt::format("The file is cut off: {} of {} records are there.", whole, header.records));
  }
  if (whole == 0 || header.records == 0)
    return fail(ErrorKind::input, "the file has no whole record", file.place(), "Copy the file again");
  const std::size_t source_bytes = file.bytes().size();
  RawTable<std::int32_t> ids(source_bytes);
  RawTable<float> weights(source_bytes), output_norms(source_bytes);
  std::vector<std::int64_t> last(header.layers, -1);                      // token of each layer
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::size_t> tokens;  // batch and token in it
  std::uint64_t batch = 0;
  const std::uint64_t records = std::min<std::uint64_t>(whole, header.records);
  for (std::uint64_t r = 0; r < records; ++r) {
    if (r % 4096 == 0 && work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
    const std::byte* const from = file.bytes().data() + header_bytes + r * size;
    const auto layer = at<std::uint16_t>(from);
    const auto token = at<std::uint32_t>(from + 4);
    if (layer >= header.layers) {
      return fail(ErrorKind::input, fmt::format("record {} is of layer {} of {}", r, layer, header.layers),
                  fmt::format("{}, byte {}", file.place(), header_bytes + r * size), "Record the trace again");
    }
    if (static_cast<std::int64_t>(token) <= last[layer]) {
      ++batch;
      std::fill(last.begin(), last.end(), -1);
    }
    last[layer] = token;
    const std::size_t index = tokens.emplace(std::pair(batch, token), tokens.size()).first->second;
    for (std::size_t s = 0; s < k; ++s) {
      const auto id = at<std::uint16_t>(from + 8 + s * 2);
      const bool set = ids.set(layer, index, s, id == 0xFFFF ? -1 : static_cast<std::int32_t>(id)) &&
                       weights.set(layer, index, s, at<float>(from + 8 + k * 2 + s * 4)) &&
                       (!norms || output_norms.set(layer, index, s, at<float>(from + 8 + k * 6 + s * 4)));
      if (!set)
        return fail(ErrorKind::input, too_large("the trace"),
                    fmt::format("{}, byte {}", file.place(), header_bytes + r * size), "Check the file");
    }
  }
  RawPiece piece;
  piece.tokens = ids.tokens();
  piece.ids = ids.take(piece.tokens);
  piece.weights = weights.take(piece.tokens);
  if (norms) piece.slot_values["output_norm"] = output_norms.take(piece.tokens);
  out.pieces.push_back(std::move(piece));
  out.layers = layers_by_position(header.layers);
  for (RawLayer& layer : out.layers) layer.experts = header.experts;
  out.layers_absolute = true;
  out.order = RawOrder::ranked;
  return out;
}

const RegisterImporter registered{
    {"moet", "MOET binary trace (llama.cpp)", "a binary file that begins with MOET (llama.cpp)", score, read}};

}  // namespace
}  // namespace moescope::moet
