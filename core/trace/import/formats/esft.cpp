// ESFT expert scores: `expert_weights_{layer}.txt`, a line per sequence, `id\tid…\t\tweight\tweight…` with the ids and
// weights of all its tokens one after the other. The layer is in the file's name only; k is not in the file. Files of
// one recording are given together (or their folder); those of several ranks follow each other.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::esft {
namespace {

constexpr std::uint32_t usual_k = 6;  // of the models that ESFT was made for

struct Lines {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  std::vector<std::size_t> lengths;  // numbers per line
  std::string note;
};

// One line: ids, an empty field, weights. "" when it was read.
std::string parse(std::string_view line, Lines& out) {
  const std::size_t middle = line.find("\t\t");
  if (middle == std::string_view::npos) return "there is no empty field between ids and weights";
  std::string_view ids = line.substr(0, middle), weights = line.substr(middle + 2);
  const std::size_t before = out.ids.size();
  const auto each = [](std::string_view text, auto use) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\t'), text.size());
      if (end > 0 && !use(text.substr(0, end))) return false;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
  };
  const bool read = each(ids,
                         [&](std::string_view field) {
                           const auto id = whole_number(field);
                           if (!id || *id < 0 || *id > 65'535) return false;
                           out.ids.push_back(static_cast<std::int32_t>(*id));
                           return true;
                         }) &&
                    each(weights, [&](std::string_view field) {
                      const auto weight = real_number(field);
                      if (!weight) return false;
                      out.weights.push_back(static_cast<float>(*weight));
                      return true;
                    });
  if (read && out.ids.size() == out.weights.size() && out.ids.size() > before) {
    out.lengths.push_back(out.ids.size() - before);
    return {};
  }
  out.ids.resize(before);
  out.weights.resize(before);
  return "ids and weights are not as many numbers";
}

ImportScore score(SourceFile& file) {
  if (file.kind() != FileKind::text) return {};
  const std::string_view all = file.text();
  const std::string_view line = all.substr(0, all.find('\n'));
  Lines lines;
  if (line.size() > (std::size_t{64} << 20U) || !parse(line, lines).empty()) return {};
  return {85, "its lines are ids, an empty field and as many weights"};
}

std::optional<int> layer_in(const std::string& name) {
  const std::size_t end = name.find_last_of("0123456789");
  if (end == std::string::npos) return std::nullopt;
  std::size_t begin = end;
  while (begin > 0 && name[begin - 1] >= '0' && name[begin - 1] <= '9') --begin;
  const auto layer = whole_number(std::string_view(name).substr(begin, end - begin + 1));
  return layer && *layer < 100'000 ? std::optional<int>(static_cast<int>(*layer)) : std::nullopt;
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions& options, const WorkContext& work) {
  // Files of a folder are one rank; a rank's layers stand side by side.
  std::map<std::string, std::map<int, Lines>> ranks;
  RawTrace out;
  for (const auto& file : files) {
    const auto layer = layer_in(file->name());
    if (!layer)
      return fail(ErrorKind::input, "the name of the file does not say which layer it is of", file->place(),
                  "Name it expert_weights_LAYER.txt");
    Lines& lines = ranks[file->path().parent_path().string()][*layer];
    std::string_view rest = file->text();
    for (std::size_t number = 1; !rest.empty(); ++number) {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string wrong = end == 0 ? "" : parse(rest.substr(0, end), lines);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (wrong.empty()) continue;
      if (lines.lengths.empty())
        return fail(ErrorKind::input, wrong, fmt::format("{}, line {}", file->place(), number), "Copy the file again");
      out.notes.push_back(fmt::format("Line {} of {} is broken or cut off; the {} sequences before it were read.",
                                      number, file->name(), lines.lengths.size()));
      break;
    }
  }
  std::uint32_t k = options.k != 0 ? options.k : options.model ? options.model->k : 0;
  if (k == 0) {
    k = usual_k;
    out.notes.push_back(fmt::format("How many experts a token has is not in the file: {} is taken.", k));
  }
  out.layers_absolute = true;
  out.order = RawOrder::not_told;
  std::map<int, std::size_t> places;
  for (const auto& [folder, layers] : ranks) {
    for (const auto& [layer, lines] : layers) places.emplace(layer, 0);
  }
  for (auto& [layer, place] : places) {
    place = out.layers.size();
    out.layers.push_back(RawLayer{layer, "decoder", "mlp", 0, k, 0});
  }
  std::int32_t sequence = 0;
  for (auto& [folder, layers] : ranks) {
    RawPiece piece;
    // Sequences that every layer has, in the same length.
    std::vector<std::size_t> lengths = layers.begin()->second.lengths;
    for (const auto& [layer, lines] : layers) {
      const auto differs = std::mismatch(lengths.begin(), lengths.end(), lines.lengths.begin(), lines.lengths.end());
      lengths.erase(differs.first, lengths.end());
    }
    if (lengths.size() < layers.begin()->second.lengths.size()) {
      out.notes.push_back(
          fmt::format("Only the first {} sequences are the same in every layer and were kept.", lengths.size()));
    }
    for (const std::size_t length : lengths) {
      if (length % k != 0)
        return fail(ErrorKind::input, fmt::format("a sequence of {} numbers is not {} for each token", length, k),
                    folder, "Give --top-k N");
      for (std::size_t t = 0; t < length / k; ++t) {
        piece.sequence_ids.push_back(sequence);
        piece.positions.push_back(static_cast<std::int32_t>(t));
      }
      ++sequence;
    }
    piece.tokens = piece.sequence_ids.size();
    piece.ids.layers.resize(out.layers.size());
    piece.weights.layers.resize(out.layers.size());
    for (auto& [layer, lines] : layers) {
      const std::size_t place = places.at(layer);
      lines.ids.resize(piece.tokens * k);
      lines.weights.resize(piece.tokens * k);
      piece.ids.layers[place] = plane_of(own_tensor(std::move(lines.ids), DType::i32, {piece.tokens, k}));
      piece.weights.layers[place] = plane_of(own_tensor(std::move(lines.weights), DType::f32, {piece.tokens, k}));
    }
    out.pieces.push_back(std::move(piece));
  }
  return out;
}

const RegisterImporter registered{
    {"esft", "ESFT expert scores", "expert_weights_LAYER.txt with ids and weights (ESFT)", score, read}};

}  // namespace
}  // namespace moescope::esft
