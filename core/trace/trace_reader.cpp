#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "core/base/hash.h"
#include "core/io/safetensors.h"
#include "core/trace/trace_columns.h"
#include "core/trace/trace_file.h"
#include "core/trace/trace_metadata.h"
#include "core/trace/trace_tables.h"
#include "core/trace/trace_tensors.h"

namespace moescope {
namespace {

constexpr const char* metadata_key = "moescope";
constexpr std::size_t checked_tile = 4096;           // tokens of every row whose ids are checked at opening
constexpr std::size_t unnamed_codes_limit = 65'536;  // tag codes that get a number for a name

// Reads one file into a Trace, tensor by tensor. Every step returns the first thing that is wrong.
class TraceReader {
 public:
  TraceReader(SafetensorsFile file, TraceInfo info) : file_(std::move(file)), info_(std::move(info)) {
    for (const RouterRow& row : info_.rows) emax_ = std::max(emax_, row.experts);
  }

  Expected<Trace> read() {
    using Step = Expected<void> (TraceReader::*)();
    for (const Step step : {&TraceReader::measure, &TraceReader::drop_broken, &TraceReader::read_ids,
                            &TraceReader::check_first_tile, &TraceReader::read_row_columns, &TraceReader::read_facts,
                            &TraceReader::read_tags, &TraceReader::read_families, &TraceReader::read_text,
                            &TraceReader::read_vocabulary, &TraceReader::read_counts, &TraceReader::read_placement}) {
      if (auto done = (this->*step)(); !done) return fail(done.error());
    }
    keep_unknown();
    const std::shared_ptr<const MappedFile> mapped = file_.file;
    trace_.content_hash = fingerprint(mapped->bytes());
    // A sampled fingerprint does not see every change, so the time of the change joins in.
    if (mapped->bytes().size() > fingerprint_whole_limit) {
      trace_.content_hash = hash_hex(fmt::format("{} {}", trace_.content_hash, mapped->modified_ns()));
    }
    if (segment_->tokens > 0) trace_.segments.push_back(segment_);
    trace_.info = std::make_shared<const TraceInfo>(std::move(info_));
    trace_.fault = [mapped] { return mapped->fault(); };
    if (auto lost = trace_.fault()) return fail(*lost);
    return std::move(trace_);
  }

 private:
  // A tensor that is there and not dropped; it then counts as understood.
  const TensorView* take(const std::string& name) {
    const TensorView* const tensor = file_.find(name);
    if (tensor == nullptr || dropped_.contains(name)) return nullptr;
    taken_.insert(name);
    return tensor;
  }

  // Rows, tokens and slots of the file, and that every column agrees with them.
  Expected<void> measure() {
    const TensorView* const ids = file_.find("expert_ids");
    if (ids == nullptr && file_.find("expert_counts") == nullptr) {
      return fail(ErrorKind::input, "the trace has neither expert_ids nor expert_counts", file_.file->path().string(),
                  "Record at least one of them");
    }
    if (ids != nullptr && ids->shape.size() != 3) {
      return tensor_problem(*ids, "the shape is " + shape_text(ids->shape) + " where [row, token, slot] was expected");
    }
    rows_ = info_.rows.size();
    bool tokens_known = ids != nullptr;
    if (ids != nullptr) {
      tokens_ = ids->shape[1];
      slots_ = ids->shape[2];
      if (slots_ > used_code::max_filled) {
        return tensor_problem(*ids, fmt::format("{} slots are more than the {} of version 1", slots_,
                                                std::uint32_t{used_code::max_filled}));
      }
    }
    for (const TensorView& tensor : file_.tensors) {
      const bool by_row = has_row_axis(tensor.name);
      if (!by_row && !has_token_axis(tensor.name)) continue;
      const std::size_t token_axis = by_row ? 1 : 0;
      if (tensor.shape.size() <= token_axis) return tensor_problem(tensor, "the shape has too few dimensions");
      if (by_row && tensor.shape[0] != rows_) {
        return tensor_problem(tensor, fmt::format("{} rows where the metadata lists {}", tensor.shape[0], rows_));
      }
      if (!tokens_known) tokens_ = tensor.shape[token_axis];
      tokens_known = true;
      if (tensor.shape[token_axis] != tokens_) {
        return tensor_problem(tensor,
                              fmt::format("{} tokens where other tensors have {}", tensor.shape[token_axis], tokens_));
      }
    }
    return {};
  }

  // Keeps the whole rows of a truncated file: rows that every column still has. A column without any whole row, and
  // one without rows that is not whole, is dropped; the notes say all of it.
  Expected<void> drop_broken() {
    const std::size_t stated_rows = rows_;
    for (const TensorView& tensor : file_.tensors) {
      const std::uint64_t whole = whole_steps(tensor);
      if (file_.missing_bytes == 0 || whole >= (tensor.shape.empty() ? 1 : tensor.shape[0])) continue;
      if (has_row_axis(tensor.name) && whole > 0) {
        rows_ = std::min<std::size_t>(rows_, whole);
      } else {
        dropped_.insert(tensor.name);
      }
    }
    if (file_.missing_bytes > 0) {
      std::string note = fmt::format("The file is truncated by {} bytes.", file_.missing_bytes);
      if (rows_ < stated_rows) note += fmt::format(" {} of {} rows are whole and were kept.", rows_, stated_rows);
      if (!dropped_.empty()) note += fmt::format(" Lost altogether: {}.", fmt::join(dropped_, ", "));
      info_.notes.push_back(std::move(note));
      if (dropped_.contains("expert_ids") && (dropped_.contains("expert_counts") || !file_.find("expert_counts"))) {
        return fail(ErrorKind::input, "the file is truncated before the first whole row", file_.file->path().string(),
                    "Copy or record the trace again");
      }
      // Where all ones may be an expert, ids mean nothing without `used`.
      if (dropped_.contains("used")) {
        return fail(ErrorKind::input, "the file is truncated inside 'used', without which its ids cannot be read",
                    file_.file->path().string(), "Copy or record the trace again");
      }
    }
    info_.rows.resize(rows_);
    segment_->rows = rows_;
    segment_->tokens = tokens_;
    segment_->slots = slots_;
    return {};
  }

  // The bytes of the rows that are kept.
  [[nodiscard]] TensorView kept_rows(TensorView tensor) const {
    tensor.shape[0] = rows_;
    tensor.bytes = tensor.bytes.first(byte_size(tensor.type, tensor.shape).value_or(0));
    return tensor;
  }

  // E of every row as its ids count: physical ids go up to the number of physical experts.
  void bound_ids() {
    const TensorView* const map = file_.find("physical_to_logical");
    for (RouterRow row : info_.rows) {
      if (info_.physical_ids && map != nullptr && map->shape.size() == 3) {
        row.experts = static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(map->shape[2], row.experts, std::uint64_t{trace_expert_limit}));
      }
      widest_ = std::max(widest_, row.experts);
      id_rows_.push_back(std::move(row));
    }
  }

  Expected<void> read_ids() {
    bound_ids();
    const TensorView* const used = take("used");
    if (used != nullptr) {
      if (auto ok = expect_type(*used, {DType::u8}); !ok) return ok;
      if (used->shape.size() != 2) return tensor_problem(*used, "the shape is not [row, token]");
    }
    const TensorView* const ids = take("expert_ids");
    if (ids == nullptr) return {};
    // Only beside ids: filled slots without ids would have readers look for them.
    if (used != nullptr) segment_->used = column_of<std::uint8_t>(kept_rows(*used));
    const TensorView kept = kept_rows(*ids);
    switch (ids->type) {
      case DType::u8:
        if (widest_ > 256) return tensor_problem(*ids, fmt::format("U8 cannot hold the ids of {} experts", widest_));
        segment_->ids8 = column_of<std::uint8_t>(kept);
        if (widest_ == 256) {
          for (const RouterRow& row : id_rows_) segment_->all_ones_is_expert.push_back(row.experts == 256 ? 1 : 0);
        }
        return {};
      case DType::u16:
        segment_->ids16 = column_of<std::uint16_t>(kept);
        return {};
      case DType::i16:
      case DType::i32:
      case DType::i64:
        return narrow_ids(kept, id_rows_, *segment_);
      default:
        return expect_type(*ids, {DType::u8, DType::u16, DType::i16, DType::i32, DType::i64});
    }
  }

  // A wrong E or a file of another kind shows at once; the rest is left to check_ids(), which reads every page.
  Expected<void> check_first_tile() {
    if (!segment_->has_ids()) return {};
    for (std::size_t r = 0; r < rows_; ++r) {
      for (std::size_t t = 0; t < std::min<std::size_t>(tokens_, checked_tile); ++t) {
        const std::size_t filled = segment_->filled(r, t);
        for (std::size_t s = 0; s < filled; ++s) {
          if (segment_->id(r, t, s) < id_rows_[r].experts) continue;
          return tensor_problem(*file_.find("expert_ids"),
                                fmt::format("row {}, token {}, slot {} holds expert id {} where its row has {} experts",
                                            r, t, s, segment_->id(r, t, s), info_.rows[r].experts));
        }
      }
    }
    return {};
  }

  Expected<void> read_row_columns() {
    if (const TensorView* const weights = take("gate_weights")) {
      if (auto ok = expect_type(*weights, {DType::f32, DType::f16, DType::bf16}); !ok) return ok;
      if (auto ok = expect_shape(*weights, {weights->shape[0], tokens_, slots_}); !ok) return ok;
      segment_->gate_weights = *float_column_of(kept_rows(*weights));
    }
    for (const auto& [name, column] : {std::pair("router_logits", &segment_->router_logits),
                                       std::pair("selection_scores", &segment_->selection_scores)}) {
      const TensorView* const tensor = take(name);
      if (tensor == nullptr) continue;
      if (auto ok = expect_type(*tensor, {DType::f32, DType::bf16, DType::f16}); !ok) return ok;
      if (tensor->shape.size() != 3 || tensor->shape[2] < emax_) {
        return tensor_problem(*tensor, fmt::format("the shape is {} where [row, token, {}] was expected",
                                                   shape_text(tensor->shape), emax_));
      }
      if (segment_->logit_width != 0 && segment_->logit_width != tensor->shape[2]) {
        return tensor_problem(*tensor, "its last dimension is not that of router_logits");
      }
      segment_->logit_width = tensor->shape[2];
      *column = *float_column_of(kept_rows(*tensor));
    }
    if (const TensorView* const output = take("output_logits")) {
      if (auto ok = expect_type(*output, {DType::f32, DType::bf16, DType::f16}); !ok) return ok;
      if (output->shape.size() != 2) return tensor_problem(*output, "the shape is not [token, vocabulary]");
      segment_->output_logits = *float_column_of(*output);
    }
    return {};
  }

  Expected<void> read_facts() {
    Segment& s = *segment_;
    for (const auto& [name, column] : {std::pair("token_ids", &s.token_ids), std::pair("sequence_ids", &s.sequence_ids),
                                       std::pair("positions", &s.positions), std::pair("steps", &s.steps),
                                       std::pair("ranks", &s.ranks), std::pair("epochs", &s.epochs)}) {
      const TensorView* const tensor = take(name);
      if (tensor == nullptr) continue;
      if (auto ok = expect_shape(*tensor, {tokens_}); !ok) return ok;
      auto values = int_column_of(*tensor, false);
      if (!values) return fail(values.error());
      *column = std::move(*values);
    }
    for (const auto& [name, column] : {std::pair("phases", &s.phases), std::pair("streams", &s.streams)}) {
      const TensorView* const tensor = take(name);
      if (tensor == nullptr) continue;
      if (auto ok = expect_shape(*tensor, {tokens_}); !ok) return ok;
      if (auto ok = expect_type(*tensor, {DType::u8}); !ok) return ok;
      *column = column_of<std::uint8_t>(*tensor);
    }
    return {};
  }

  Expected<void> read_tags() {
    for (const TensorView& tensor : file_.tensors) {
      if (!tensor.name.starts_with("tags.") || take(tensor.name) == nullptr) continue;
      const std::string name = tensor.name.substr(5);
      if (auto ok = expect_shape(tensor, {tokens_}); !ok) return ok;
      TagColumn& tag = segment_->tags[name];
      if (tensor.type == DType::f32) {
        tag.numbers = column_of<float>(tensor);
        continue;
      }
      auto codes = int_column_of(tensor, true);
      if (!codes) return fail(codes.error());
      std::int32_t highest = -1;
      for (const std::int32_t code : codes->values) {
        if (code < -1) return tensor_problem(tensor, fmt::format("code {} is neither -1 nor positive", code));
        highest = std::max(highest, code);
      }
      std::vector<std::string>& names = info_.tag_names[name];
      const std::size_t codes_used = static_cast<std::size_t>(std::int64_t{highest} + 1);  // 0 for a column of -1
      if (codes_used > std::max(names.size(), unnamed_codes_limit)) {
        return tensor_problem(tensor, fmt::format("code {} has no name in the metadata", highest));
      }
      // Codes beyond the names are called by their number, so that nothing indexes past the names.
      while (names.size() < codes_used) names.push_back(fmt::format("#{}", names.size()));
      tag.codes = std::move(*codes);
      tag.names = names;
    }
    return {};
  }

  Expected<void> read_families() {
    for (const TensorView& tensor : file_.tensors) {
      const bool slot = tensor.name.starts_with("slot.");
      const bool row = tensor.name.starts_with("row.");
      const bool token = tensor.name.starts_with("token.");
      if ((!slot && !row && !token) || dropped_.contains(tensor.name)) continue;
      const std::vector<std::uint64_t> shape = slot  ? std::vector<std::uint64_t>{tensor.shape[0], tokens_, slots_}
                                               : row ? std::vector<std::uint64_t>{tensor.shape[0], tokens_}
                                                     : std::vector<std::uint64_t>{tokens_};
      if (auto ok = expect_shape(tensor, shape); !ok) return ok;
      auto column = float_column_of(token ? tensor : kept_rows(tensor));
      if (!column) continue;  // no numbers: listed as unknown
      taken_.insert(tensor.name);
      auto& family = slot ? segment_->slot_values : row ? segment_->row_values : segment_->token_values;
      family[tensor.name.substr(tensor.name.find('.') + 1)] = std::move(*column);
    }
    return {};
  }

  Expected<void> read_text() {
    if (const TensorView* const text = take("text")) {
      if (auto ok = expect_type(*text, {DType::u8}); !ok) return ok;
      trace_.text = column_of<std::uint8_t>(*text);
    }
    if (const TensorView* const spans = take("text_spans")) {
      if (auto ok = expect_type(*spans, {DType::i64}); !ok) return ok;
      if (auto ok = expect_shape(*spans, {tokens_, 2}); !ok) return ok;
      segment_->text_spans = column_of<std::int64_t>(*spans);
    }
    return {};
  }

  Expected<void> read_vocabulary() {
    const TensorView* const ids = take("vocab.ids");
    const TensorView* const offsets = take("vocab.offsets");
    const TensorView* const bytes = take("vocab.bytes");
    if (ids == nullptr || offsets == nullptr || bytes == nullptr) return {};
    return keep(trace_.vocabulary, vocabulary_of(*ids, *offsets, *bytes));
  }

  Expected<void> read_counts() {
    const TensorView* const counts = take("expert_counts");
    return counts == nullptr ? Expected<void>{} : keep(trace_.counts, counts_of(*counts, info_.rows));
  }

  Expected<void> read_placement() {
    const TensorView* const map = take("physical_to_logical");
    return map == nullptr ? Expected<void>{} : keep(trace_.placement, placement_of(*map, info_.rows));
  }

  template <typename T>
  static Expected<void> keep(T& where, Expected<T> value) {
    if (!value) return fail(value.error());
    where = std::move(*value);
    return {};
  }

  void keep_unknown() {
    for (const TensorView& tensor : file_.tensors) {
      if (taken_.contains(tensor.name) || dropped_.contains(tensor.name) || tensor.name.starts_with("pad.")) continue;
      info_.unknown_tensors.push_back(tensor.name);
      trace_.unknown.push_back(tensor);
    }
  }

  SafetensorsFile file_;
  TraceInfo info_;
  Trace trace_;
  std::shared_ptr<Segment> segment_ = std::make_shared<Segment>();
  std::uint32_t emax_ = 0;
  std::vector<RouterRow> id_rows_;
  std::uint32_t widest_ = 0;  // the largest E of id_rows_
  std::size_t rows_ = 0;
  std::size_t tokens_ = 0;
  std::size_t slots_ = 0;
  std::set<std::string> dropped_;
  std::set<std::string> taken_;
};

std::string shown_name(const std::filesystem::path& path) {
  std::string name = path.filename().string();
  for (const std::string_view suffix : {".safetensors", ".routes"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  }
  return name;
}

}  // namespace

Expected<Trace> read_trace(const std::filesystem::path& path) {
  auto file = read_safetensors(path, Truncation::allowed);
  if (!file) return fail(file.error());
  const auto metadata = file->metadata.find(metadata_key);
  if (metadata == file->metadata.end()) {
    return fail(ErrorKind::input, "this safetensors file is not a trace: it has no metadata 'moescope'", path.string(),
                "Open a checkpoint by its folder; the help page on trace files says how traces are written");
  }
  auto info = parse_trace_metadata(metadata->second, path.string());
  if (!info) return fail(info.error());
  try {
    auto trace = TraceReader(std::move(*file), std::move(*info)).read();
    if (trace) {
      trace->name = shown_name(path);
      trace->path = path.string();
    }
    return trace;
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::input, "the trace needs more memory to open than there is", path.string(),
                "Write its ids as U8 or U16, which stay on disk");
  }
}

bool looks_like_trace(const std::filesystem::path& path) {
  const auto file = read_safetensors(path, Truncation::allowed);
  return file && file->metadata.contains(metadata_key);
}

}  // namespace moescope
