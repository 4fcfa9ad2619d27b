// Dumps of SGLang's expert distribution recorder, torch files:
//   stat, stat_approx: {"rank", "logical_count": [steps, layers, experts], "average_utilization_rate_over_window"}
//   per_pass, per_token, one file per rank: {"records": […], "last_physical_to_logical_map": [layers, physical]}, where
//     a record has forward_pass_id, rank, gatherer_key and global_physical_count [layers, physical]; per_token further
//     input_ids, positions, extend_seq_lens, forward_mode (1 extend, 2 decode) and topk_ids_of_layer
//     [layers, tokens, 8], physical, −1 unused.
// The buffer of steps is circular, so steps are in no order. Requests are not recorded: a decoded token is given to the
// sequence that it continues where only one can be meant.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/trace/import/formats/format_tools.h"
#include "core/trace/import/formats/torch_tools.h"

namespace moescope::sglang_recorder {
namespace {

constexpr std::size_t cells_limit = std::size_t{1} << 26U;
constexpr std::uint32_t slots_of_recorder = 8;
constexpr std::int64_t mode_extend = 1, mode_decode = 2;

const PickleList* records_of(const PickleValue& root) {
  const PickleValue* const records = root.find("records");
  return records == nullptr ? nullptr : records->list();
}

ImportScore score(SourceFile& file) {
  if (file.kind() != FileKind::zip || !file.torch()) return {};
  const PickleValue& root = file.torch()->root;
  if (tensor_at(root, "logical_count") != nullptr) return {95, "it has logical_count"};
  if (records_of(root) != nullptr && root.find("last_physical_to_logical_map") != nullptr) {
    return {95, "it has records and last_physical_to_logical_map"};
  }
  return {};
}

Unexpected wrong(std::string what, const std::string& where) {
  return fail(ErrorKind::input, std::move(what), where, "Dump the recorder again");
}

std::int64_t number_at(const PickleValue& record, const char* key, std::int64_t fallback) {
  const PickleValue* const value = record.find(key);
  const std::int64_t* const number = value == nullptr ? nullptr : value->integer();
  return number == nullptr ? fallback : *number;
}

Expected<RawTrace> read_counts(SourceFile& file) {
  const StridedTensor& tensor = *tensor_at(file.torch()->root, "logical_count");
  const auto& shape = shape_of(tensor);
  if ((shape.size() != 2 && shape.size() != 3) || tensor.view.elements() > cells_limit || tensor.view.elements() == 0) {
    return wrong("logical_count is not [step, layer, expert]", file.place());
  }
  auto values = contiguous_integers(tensor);
  if (!values) return fail(values.error());
  RawTrace out;
  out.layers = layers_by_position(shape[shape.size() - 2]);
  out.counts =
      RawCounts{shape.size() == 3 ? static_cast<std::size_t>(shape[0]) : 1, shape.back(), std::move(*values), false};
  if (shape.size() == 3 && shape[0] > 1) {
    out.notes.emplace_back("The recorder's buffer is circular: the steps may not be in the order of time.");
  }
  return out;
}

// The map of the last file that has one. Error when files disagree.
Expected<void> take_map(SourceFile& file, RawTrace& out) {
  const StridedTensor* const tensor = tensor_at(file.torch()->root, "last_physical_to_logical_map");
  if (tensor == nullptr) return {};
  const auto& shape = shape_of(*tensor);
  if (shape.size() != 2 || tensor->view.elements() == 0 || tensor->view.elements() > cells_limit) {
    return wrong("last_physical_to_logical_map is not [layer, physical expert]", file.place());
  }
  const auto values = contiguous_integers(*tensor);
  if (!values) return fail(values.error());
  std::vector<std::int32_t> narrow;
  for (const std::int64_t v : *values) {
    if (v < -1 || v > 65'535) return wrong(fmt::format("the map names expert {}", v), file.place());
    narrow.push_back(static_cast<std::int32_t>(v));
  }
  if (!out.placement.empty() && !std::equal(narrow.begin(), narrow.end(), out.placement.values.values.begin(),
                                            out.placement.values.values.end())) {
    return wrong("the ranks have different maps from physical to logical experts", file.place());
  }
  out.placement = PlacementMap{1, shape[0], shape[1], Column<std::int32_t>::own(std::move(narrow))};
  return {};
}

// Gives tokens to sequences: an extended request begins one, a decoded token goes on with the one that it fits.
class Sequences {
 public:
  void add(const std::vector<std::int32_t>& positions, const std::vector<std::int32_t>& lengths, std::int64_t mode,
           std::vector<std::int32_t>& out) {
    out.assign(positions.size(), -1);
    if (mode == mode_extend && !lengths.empty()) {
      std::size_t at = 0;
      for (const std::int32_t length : lengths) {
        const std::size_t end = std::min(positions.size(), at + static_cast<std::size_t>(std::max(0, length)));
        if (at == end) continue;
        // A part of a prompt that was begun in an earlier pass goes on with it.
        const std::int32_t sequence = positions[at] > 0 ? take(positions[at]).value_or(next_++) : next_++;
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(end),
                  sequence);
        open_.emplace(positions[end - 1] + 1, sequence);
        at = end;
      }
    } else if (mode == mode_decode) {
      for (std::size_t t = 0; t < positions.size(); ++t) {
        const auto sequence = take(positions[t]);
        if (!sequence) {
          ++unknown_;
          continue;
        }
        out[t] = *sequence;
        open_.emplace(positions[t] + 1, *sequence);
      }
    }
  }
  [[nodiscard]] std::size_t unknown() const { return unknown_; }
  [[nodiscard]] std::int32_t count() const { return next_; }

 private:
  // The one open sequence whose next token has this position.
  std::optional<std::int32_t> take(std::int32_t position) {
    if (open_.count(position) != 1) return std::nullopt;
    const auto found = open_.find(position);
    const std::int32_t sequence = found->second;
    open_.erase(found);
    return sequence;
  }
  std::multimap<std::int32_t, std::int32_t> open_;  // next position -> sequence
  std::int32_t next_ = 0;
  std::size_t unknown_ = 0;
};

class RecordReader {
 public:
  explicit RecordReader(RawTrace& out) : out_(out) {}

  Expected<void> add(const PickleValue& record, Sequences& sequences, const std::string& where) {
    const StridedTensor* const counts = tensor_at(record, "global_physical_count");
    const StridedTensor* const ids = tensor_at(record, "topk_ids_of_layer");
    if (ids != nullptr) return add_tokens(record, *ids, sequences, where);
    if (counts == nullptr) return wrong("a record has neither topk_ids_of_layer nor global_physical_count", where);
    const auto& shape = shape_of(*counts);
    if (shape.size() != 2 || (width_ != 0 && (shape[0] != layers_ || shape[1] != width_)) ||
        counts->view.elements() > cells_limit) {
      return wrong("global_physical_count is not [layer, physical expert] as in the other records", where);
    }
    layers_ = shape[0];
    width_ = shape[1];
    const auto values = contiguous_integers(*counts);
    if (!values) return fail(values.error());
    auto& sum = passes_[number_at(record, "forward_pass_id", -1)];
    sum.resize(values->size(), 0);
    for (std::size_t i = 0; i < values->size(); ++i) {
      if (__builtin_add_overflow(sum[i], (*values)[i], &sum[i])) return wrong("the counts overflow", where);
    }
    return {};
  }

  void finish() {
    if (out_.pieces.empty()) {
      out_.counts.physical = true;
      out_.counts.experts = width_;
      out_.counts.steps = passes_.size();
      for (const auto& [pass, sum] : passes_)
        out_.counts.values.insert(out_.counts.values.end(), sum.begin(), sum.end());
    }
    out_.layers = layers_by_position(layers_);
  }

 private:
  Expected<void> add_tokens(const PickleValue& record, const StridedTensor& ids, Sequences& sequences,
                            const std::string& where) {
    const auto& shape = shape_of(ids);
    if (shape.size() != 3 || (layers_ != 0 && shape[0] != layers_) || repeats(ids)) {
      return wrong("topk_ids_of_layer is not [layer, token, slot] as in the other records", where);
    }
    layers_ = shape[0];
    RawPiece piece;
    piece.token_ids = small_integers(record.find("input_ids"));
    piece.positions = small_integers(record.find("positions"));
    piece.tokens = shape[1];
    // Rows beyond the inputs are padding.
    if (!piece.token_ids.empty() && piece.token_ids.size() < piece.tokens) piece.tokens = piece.token_ids.size();
    if (piece.token_ids.size() != piece.tokens) piece.token_ids.clear();
    if (piece.positions.size() != piece.tokens) piece.positions.clear();
    const std::int64_t mode = number_at(record, "forward_mode", 0);
    if (!piece.positions.empty()) {
      sequences.add(piece.positions, small_integers(record.find("extend_seq_lens")), mode, piece.sequence_ids);
    }
    piece.phases.assign(piece.tokens, mode == mode_extend ? 0 : mode == mode_decode ? 1 : 0xFF);
    piece.steps.assign(piece.tokens, static_cast<std::int32_t>(number_at(record, "forward_pass_id", -1)));
    piece.ranks.assign(piece.tokens, static_cast<std::int32_t>(number_at(record, "rank", -1)));
    for (std::uint64_t l = 0; l < shape[0]; ++l) piece.ids.layers.push_back(strided_plane(ids, l));
    out_.pieces.push_back(std::move(piece));
    return {};
  }

  RawTrace& out_;
  std::uint64_t layers_ = 0, width_ = 0;
  std::map<std::int64_t, std::vector<std::int64_t>> passes_;
};

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  for (const auto& file : files) {
    if (!file->torch()) return fail(file->torch().error());
  }
  if (tensor_at(files.front()->torch()->root, "logical_count") != nullptr) {
    if (files.size() > 1)
      return fail(ErrorKind::usage, "several counts of all ranks cannot become one trace", files[1]->place(),
                  "Import one at a time");
    return read_counts(*files.front());
  }
  RawTrace out;
  RecordReader reader(out);
  std::int32_t first_sequence = 0;
  std::size_t unknown = 0;
  for (const auto& file : files) {
    if (auto taken = take_map(*file, out); !taken) return fail(taken.error());
    const PickleList* const records = records_of(file->torch()->root);
    if (records == nullptr) return wrong("it has no list of records", file->place());
    Sequences sequences;
    const std::size_t first_piece = out.pieces.size();
    for (std::size_t i = 0; i < records->size(); ++i) {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
      const auto added = reader.add((*records)[i], sequences, fmt::format("{}, record {}", file->place(), i));
      if (!added) return fail(added.error());
    }
    for (std::size_t p = first_piece; p < out.pieces.size(); ++p) {
      for (std::int32_t& id : out.pieces[p].sequence_ids) id = id < 0 ? -1 : id + first_sequence;
    }
    first_sequence += sequences.count();
    unknown += sequences.unknown();
  }
  reader.finish();
  out.physical_ids = true;
  out.order = RawOrder::ranked;
  out.slots_written = slots_of_recorder;
  if (unknown > 0)
    out.notes.push_back(
        fmt::format("{} decoded tokens could belong to several sequences and were given to none.", unknown));
  if (files.size() > 1)
    out.notes.push_back(
        fmt::format("{} ranks are joined: counts are added up, tokens follow each other.", files.size()));
  return out;
}

const RegisterImporter registered{{"sglang-recorder", "SGLang expert distribution recorder",
                                   ".pt with logical_count, or with records and last_physical_to_logical_map (SGLang)",
                                   score, read}};

}  // namespace
}  // namespace moescope::sglang_recorder
