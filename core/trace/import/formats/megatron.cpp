// Megatron-LM router traces, one file per rank:
//   router_trace_rank{R}.jsonl: {"step":0,"stage":"pre_dispatch","block":"decoder","layer":3,"rank":0,"num_tokens":128,
//     "topk":22,"top_indices":[[…],…], ["mtp_idx":0,] ["logit_offset":…,"logit_bytes":…,"logit_shape":[T,E]]}
//     with bfloat16 logits in logits_rank{R}.bin beside it
//   tokens_per_expert/rank{R}.jsonl: {"iter","block","layer","tpe":[[counts of this rank's experts] per microbatch]}
// Ids made from the map of booleans ascend. Token ids are not recorded.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::megatron {
namespace {

using Json = nlohmann::json;
constexpr std::int64_t number_limit = 1 << 30;
constexpr std::size_t layer_limit = 10'000;

// Layers of the decoder come first, then those of each further block.
using LayerKey = std::tuple<std::string, std::int64_t, std::int64_t>;  // block, mtp index, layer

std::int64_t bounded(const Json& line, std::initializer_list<const char*> keys, std::int64_t fallback) {
  const auto value = integer_of(line, keys);
  return value && *value >= 0 && *value < number_limit ? *value : fallback;
}

std::optional<LayerKey> layer_of(const Json& line) {
  const std::int64_t layer = bounded(line, {"layer"}, -1);
  if (layer < 0) return std::nullopt;
  const Json* const block = first_of(line, {"block"});
  return LayerKey{block != nullptr && block->is_string() ? block->get<std::string>() : "decoder",
                  bounded(line, {"mtp_idx"}, 0), layer};
}

class Layers {
 public:
  std::size_t place(const LayerKey& key) { return places_.emplace(key, places_.size()).first->second; }
  [[nodiscard]] std::size_t size() const { return places_.size(); }
  // The layers in the order of the model, and where each place went.
  std::vector<std::size_t> finish(std::vector<RawLayer>& out) const {
    std::vector<std::size_t> to(places_.size());
    for (const auto& [key, place] : places_) {
      to[place] = out.size();
      RawLayer layer;
      layer.block = std::get<0>(key);
      layer.layer = static_cast<int>(std::get<2>(key) + (layer.block == "mtp" ? std::get<1>(key) : 0));
      out.push_back(std::move(layer));
    }
    return to;
  }

 private:
  std::map<LayerKey, std::size_t> places_;
};

void reorder(RawGrid& grid, const std::vector<std::size_t>& to, std::size_t layers) {
  if (grid.empty()) return;
  RawGrid out;
  out.layers.resize(layers);
  for (std::size_t l = 0; l < grid.layers.size(); ++l) out.layers[to[l]] = std::move(grid.layers[l]);
  grid = std::move(out);
}

ImportScore score(SourceFile& file) {
  if ((file.kind() != FileKind::json && file.kind() != FileKind::json_lines) || !file.first_json()) return {};
  const Json& line = *file.first_json();
  if (!line.is_object() || !layer_of(line)) return {};
  if (line.contains("top_indices") && line.contains("num_tokens"))
    return {95, "its lines have layer, num_tokens and top_indices"};
  if (line.contains("tpe")) return {95, "its lines have layer and tpe"};
  return {};
}

// The routes of one rank's file.
class RouteFile {
 public:
  RouteFile(const SourceFile& file, Layers& layers, RawTrace& out) : file_(file), layers_(layers), out_(out) {}

  Expected<void> add(const Json& line, std::size_t number) {
    const std::string where = fmt::format("{}, line {}", file_.place(), number);
    const Json* const list = first_of(line, {"top_indices"});
    const auto key = layer_of(line);
    const auto array = list == nullptr ? std::nullopt : json_array(*list, 2);
    if (!key || !array)
      return fail(ErrorKind::input, "the line has no layer with top_indices [token][k]", where,
                  "Record the trace again");
    const Json* const stage = first_of(line, {"stage"});
    const std::string named = stage != nullptr && stage->is_string() ? stage->get<std::string>() : "";
    if (stage_.empty()) stage_ = named;
    if (named != stage_) {
      ++other_stages_;
      return {};
    }
    const std::size_t place = layers_.place(*key);
    if (layers_.size() > layer_limit)
      return fail(ErrorKind::input, "the file has too many layers", where, "Record the trace again");
    const std::int64_t step = bounded(line, {"step"}, 0);
    const auto rank = static_cast<std::int32_t>(bounded(line, {"rank"}, 0));
    // A layer that comes again in a step begins further tokens: another microbatch.
    const std::size_t batch = batches_[{step, place}]++;
    const auto [at, fresh] = pieces_.emplace(std::pair(step, batch), out_.pieces.size());
    if (fresh) {
      RawPiece piece;
      piece.tokens = array->shape[0];
      piece.steps.assign(piece.tokens, static_cast<std::int32_t>(step));
      piece.ranks.assign(piece.tokens, rank);
      out_.pieces.push_back(std::move(piece));
    }
    RawPiece& piece = out_.pieces[at->second];
    if (piece.tokens != array->shape[0]) {
      return fail(ErrorKind::input,
                  fmt::format("{} tokens where other layers of the step have {}", array->shape[0], piece.tokens), where,
                  "Record the trace again");
    }
    if (piece.ids.layers.size() <= place) piece.ids.layers.resize(place + 1);
    piece.ids.layers[place] = plane_of(own_tensor(array->integers(), DType::i32, array->shape));
    return add_logits(line, place, piece, where);
  }

  void finish() {
    if (other_stages_ > 0) {
      out_.notes.push_back(fmt::format("{} lines of {} are of another stage than {} and were left out.", other_stages_,
                                       file_.name(), stage_));
    }
    if (lost_logits_ > 0) {
      out_.notes.push_back(
          fmt::format("The logits of {} lines of {} are not in its sidecar file.", lost_logits_, file_.name()));
    }
  }

 private:
  Expected<void> add_logits(const Json& line, std::size_t place, RawPiece& piece, const std::string& where) {
    const Json* const shape = first_of(line, {"logit_shape"});
    const auto offset = integer_of(line, {"logit_offset"});
    if (shape == nullptr || !offset) return {};
    const auto sizes = json_array(*shape, 1);
    if (!sizes || sizes->values.size() != 2 || *offset < 0)
      return fail(ErrorKind::input, "logit_shape is not [token, expert]", where, "Record the trace again");
    open_sidecar();
    const auto dimensions = sizes->integers();
    if (dimensions[0] < 0 || dimensions[1] < 1 || static_cast<std::size_t>(dimensions[0]) != piece.tokens) {
      return fail(ErrorKind::input, "logit_shape does not match the tokens of the line", where,
                  "Record the trace again");
    }
    const std::vector<std::uint64_t> view{static_cast<std::uint64_t>(dimensions[0]),
                                          static_cast<std::uint64_t>(dimensions[1])};
    const auto size = byte_size(DType::bf16, view);
    const auto begin = static_cast<std::uint64_t>(*offset);
    if (!sidecar_ || !size || begin > sidecar_->bytes().size() || *size > sidecar_->bytes().size() - begin) {
      ++lost_logits_;
      return {};
    }
    TensorView tensor;
    tensor.type = DType::bf16;
    tensor.shape = view;
    tensor.bytes = sidecar_->bytes().subspan(begin, *size);
    tensor.owner = sidecar_;
    if (piece.logits.layers.size() <= place) piece.logits.layers.resize(place + 1);
    piece.logits.layers[place] = plane_of(tensor);
    return {};
  }

  // logits_rankR.bin beside router_trace_rankR.jsonl.
  void open_sidecar() {
    if (looked_) return;
    looked_ = true;
    const std::string stem = file_.path().stem().string();
    const std::size_t rank = stem.rfind("rank");
    if (rank == std::string::npos) return;
    auto opened = MappedFile::open(file_.path().parent_path() / ("logits_" + stem.substr(rank) + ".bin"));
    if (opened) sidecar_ = std::move(*opened);
  }

  const SourceFile& file_;
  Layers& layers_;
  RawTrace& out_;
  std::map<std::pair<std::int64_t, std::size_t>, std::size_t> batches_;  // step, layer -> microbatches so far
  std::map<std::pair<std::int64_t, std::size_t>, std::size_t> pieces_;   // step, microbatch -> piece
  std::string stage_;
  std::size_t other_stages_ = 0, lost_logits_ = 0;
  bool looked_ = false;
  std::shared_ptr<const MappedFile> sidecar_;
};

Expected<RawTrace> read_routes(const SourceFiles& files, const WorkContext& work) {
  RawTrace out;
  Layers layers;
  for (const auto& file : files) {
    RouteFile reader(*file, layers, out);
    std::string note;
    const auto done = each_json_line(*file, note, [&](const Json& line, std::size_t number) -> Expected<void> {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      return reader.add(line, number);
    });
    if (!done) return fail(done.error());
    reader.finish();
    if (!note.empty()) out.notes.push_back(note);
  }
  const auto to = layers.finish(out.layers);
  for (RawPiece& piece : out.pieces) {
    reorder(piece.ids, to, out.layers.size());
    reorder(piece.logits, to, out.layers.size());
  }
  out.layers_absolute = true;
  out.order = RawOrder::not_told;
  if (files.size() > 1) out.notes.push_back(fmt::format("The tokens of {} ranks follow each other.", files.size()));
  return out;
}

// Counts: the microbatches of an iteration are added up; ranks hold experts of their own, in the order of the files.
Expected<RawTrace> read_counts(const SourceFiles& files, const WorkContext& work) {
  Layers layers;
  std::map<std::tuple<std::int64_t, std::size_t, std::size_t>, std::vector<std::int64_t>> cells;  // iter, layer, rank
  std::vector<std::size_t> widths(files.size(), 0);
  std::set<std::int64_t> iterations;
  RawTrace out;
  for (std::size_t rank = 0; rank < files.size(); ++rank) {
    std::string note;
    const auto done = each_json_line(*files[rank], note, [&](const Json& line, std::size_t number) -> Expected<void> {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      const auto key = layer_of(line);
      const Json* const list = first_of(line, {"tpe"});
      const auto array = list == nullptr ? std::nullopt : json_array(*list, 2);
      if (!key || !array || (widths[rank] != 0 && widths[rank] != array->shape[1])) {
        return fail(ErrorKind::input, "the line has no layer with tpe [microbatch][expert] like the others",
                    fmt::format("{}, line {}", files[rank]->place(), number), "Record the counts again");
      }
      widths[rank] = array->shape[1];
      const std::int64_t iteration = bounded(line, {"iter"}, 0);
      iterations.insert(iteration);
      auto& cell = cells[{iteration, layers.place(*key), rank}];
      cell.resize(widths[rank], 0);
      const auto counts = array->integers();
      for (std::size_t i = 0; i < counts.size(); ++i) cell[i % widths[rank]] += counts[i];
      return {};
    });
    if (!done) return fail(done.error());
    if (!note.empty()) out.notes.push_back(note);
  }
  const auto to = layers.finish(out.layers);
  for (const std::size_t width : widths) out.counts.experts += width;
  out.counts.steps = iterations.size();
  out.counts.values.assign(out.counts.steps * out.layers.size() * out.counts.experts, 0);
  std::size_t step = 0;
  for (const std::int64_t iteration : iterations) {
    for (std::size_t place = 0; place < to.size(); ++place) {
      std::size_t at = (step * out.layers.size() + to[place]) * out.counts.experts;
      for (std::size_t rank = 0; rank < files.size(); ++rank) {
        const auto found = cells.find({iteration, place, rank});
        if (found != cells.end())
          std::copy(found->second.begin(), found->second.end(),
                    out.counts.values.begin() + static_cast<std::ptrdiff_t>(at));
        at += widths[rank];
      }
    }
    ++step;
  }
  out.layers_absolute = true;
  out.notes.push_back(files.size() == 1 ? "The counts are of the experts of one rank; they are numbered from 0."
                                        : "Experts are numbered rank by rank, in the order of the files.");
  return out;
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  const auto& first = files.front()->first_json();
  if (!first) return fail(first.error());
  return first->is_object() && first->contains("tpe") ? read_counts(files, work) : read_routes(files, work);
}

const RegisterImporter registered{{"megatron", "Megatron-LM router trace",
                                   "JSON lines with block, layer and top_indices, or tpe (Megatron-LM)", score, read}};

}  // namespace
}  // namespace moescope::megatron
