// Tables of counts: how often each expert of each layer was used.
//   CSV with a header layer,expert,count (SGLang's old layer_id,expert_id,count among them; one file per rank, summed)
//   CSV of numbers only: a line per layer, a field per expert
//   text lines "layer expert count" (.coli_usage; lines with a negative layer are its header)
//   JSON [layer][expert] or [step][layer][expert], or under logical_count, expert_counts or counts
//   .npy [layer, expert] or [step, layer, expert]
//   CSV layer,expert without counts: a line per use (llama.cpp's moe_trace.csv)
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/trace/import/formats/format_tools.h"

namespace moescope::count_tables {
namespace {

using Json = nlohmann::json;
constexpr std::int64_t layer_limit = 10'000;
constexpr std::int64_t expert_limit = 65'535;
constexpr std::size_t cells_limit = std::size_t{1} << 24U;
constexpr std::size_t array_limit = std::size_t{1} << 26U;

// Sparse counts of one or several files.
class SparseCounts {
 public:
  std::string add(std::int64_t layer, std::int64_t expert, std::int64_t count) {
    if (layer < 0 || layer >= layer_limit) return fmt::format("layer {} is not from 0 to {}", layer, layer_limit - 1);
    if (expert < 0 || expert >= expert_limit)
      return fmt::format("expert {} is not from 0 to {}", expert, expert_limit - 1);
    if (count < 0) return fmt::format("the count is {}", count);
    std::int64_t& cell = cells_[{layer, expert}];
    if (__builtin_add_overflow(cell, count, &cell)) return "the counts overflow";
    layers_ = std::max(layers_, layer + 1);
    experts_ = std::max(experts_, expert + 1);
    return {};
  }
  [[nodiscard]] bool empty() const { return cells_.empty(); }
  [[nodiscard]] Expected<RawTrace> trace() const {
    RawTrace out;
    out.layers_absolute = true;
    out.layers = layers_by_position(static_cast<std::size_t>(layers_));
    out.counts.steps = 1;
    out.counts.experts = static_cast<std::size_t>(experts_);
    if (out.layers.size() * out.counts.experts > cells_limit)
      return fail(ErrorKind::input, too_large("the table of counts"));
    out.counts.values.assign(out.layers.size() * out.counts.experts, 0);
    for (const auto& [cell, count] : cells_) {
      out.counts.values[static_cast<std::size_t>(cell.first * experts_ + cell.second)] = count;
    }
    out.notes.push_back(fmt::format(
        "Experts that were never used may be missing at the end: {} is the highest that was counted plus one.",
        experts_));
    return out;
  }

 private:
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> cells_;
  std::int64_t layers_ = 0, experts_ = 0;
};

// Reads all files with these columns; the third may be absent, then every record counts one.
Expected<RawTrace> read_sparse(const SourceFiles& files, const CsvColumns& columns, const WorkContext& work) {
  SparseCounts counts;
  std::vector<std::string> notes;
  for (const auto& file : files) {
    std::string note;
    std::vector<std::string> comments;
    const auto done =
        each_record(*file, columns, note, comments, work, [&](std::span<const std::string_view> f) -> std::string {
          const auto layer = whole_number(f[0]);
          const auto expert = whole_number(f[1]);
          const auto count = f.size() < 3 ? std::optional<std::int64_t>(1) : whole_number(f[2]);
          if (!layer || !expert || !count) return "layer, expert and count are not all whole numbers";
          return counts.add(*layer, *expert, *count);
        });
    if (!done) return fail(done.error());
    if (!note.empty()) notes.push_back(note);
  }
  auto out = counts.trace();
  if (!out) return out;
  out->notes.insert(out->notes.end(), notes.begin(), notes.end());
  if (files.size() > 1) out->notes.push_back(fmt::format("The counts of {} files (ranks) are added up.", files.size()));
  return out;
}

ImportScore score_old_sglang(SourceFile& file) {
  if (!header_begins(file, "layer_id,expert_id,count")) return {};
  return {95, "its header is layer_id,expert_id,count"};
}
Expected<RawTrace> read_old_sglang(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  return read_sparse(files, {{"layer_id", "expert_id", "count"}, 3}, work);
}

ImportScore score_uses(SourceFile& file) {
  if (file.kind() != FileKind::text || file.first_line() != "layer,expert") return {};
  return {95, "its header is layer,expert"};
}
Expected<RawTrace> read_uses(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  auto out = read_sparse(files, {{"layer", "expert"}, 2}, work);
  if (out) out->notes.emplace_back("The file does not say which uses belong to one token: it gives counts only.");
  return out;
}

bool numbers_only(std::string_view line, char separator) {
  std::size_t fields = 0;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(separator), line.size());
    if (!real_number(line.substr(0, end))) return false;
    ++fields;
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields > 1;
}

const Json* counts_in(const Json& json) {
  if (json.is_array()) return &json;
  return first_of(json, {"logical_count", "expert_load", "expert_counts", "counts"});
}

bool is_number_type(DType type) {
  return dtype_bits(type) >= 8 && type != DType::c64 && type != DType::boolean && type != DType::f8_e4m3 &&
         type != DType::f8_e5m2;
}

// Whole numbers of 0 or more in the first rows of an array.
bool looks_like_counts(const TensorView& tensor) {
  TensorView head = tensor;
  const std::uint64_t width = std::max<std::uint64_t>(1, tensor.shape.back());
  head.shape = {std::min<std::uint64_t>(tensor.elements() / width, 256), width};
  const auto values = tensor_numbers(head);
  return std::all_of(values.begin(), values.end(),
                     [](double v) { return v >= 0 && v == static_cast<double>(static_cast<std::int64_t>(v)); });
}

ImportScore score(SourceFile& file) {
  if (header_begins(file, "layer,expert,count")) return {90, "its header is layer,expert,count"};
  if (file.kind() == FileKind::npy && file.npy()) {
    const TensorView& array = file.npy()->tensor;
    const std::size_t axes = array.shape.size();
    if ((axes != 2 && axes != 3) || !is_number_type(array.type) || array.elements() == 0 || !looks_like_counts(array))
      return {};
    if (axes == 3) return {40, "an array [step, layer, expert] of whole numbers"};
    return {array.shape[0] <= 256 ? 50 : 20, "an array [layer, expert] of whole numbers"};
  }
  if (file.kind() == FileKind::json && file.json()) {
    const Json* const counts = counts_in(*file.json());
    if (counts == nullptr) return {};
    if (!json_array(*counts, 3) && !json_array(*counts, 2)) return {};
    return {file.json()->is_array() ? 60 : 85, "nested lists of numbers [layer][expert]"};
  }
  if (file.kind() != FileKind::text) return {};
  const std::string_view line = file.first_line();
  if (std::count(line.begin(), line.end(), ' ') == 2 && numbers_only(line, ' '))
    return {60, "lines of layer, expert, count"};
  if (numbers_only(line, ',')) return {50, "a table of numbers, a line per layer"};
  return {};
}

Expected<RawTrace> read_matrix(const SourceFile& file, const WorkContext& work) {
  CsvReader reader(file.text(), file.place());
  std::vector<std::string> fields;
  std::vector<double> values;
  std::size_t width = 0, rows = 0;
  std::string note;
  for (;;) {
    if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
    const auto more = reader.next(fields);
    if (!more && rows == 0) return fail(more.error());
    if (more && !*more) break;
    std::string wrong = more ? "" : more.error().what;
    const std::size_t before = values.size();
    if (wrong.empty() && rows > 0 && fields.size() != width)
      wrong = fmt::format("{} fields where the first line has {}", fields.size(), width);
    for (std::size_t i = 0; wrong.empty() && i < fields.size(); ++i) {
      const auto value = real_number(fields[i]);
      if (!value) wrong = fmt::format("'{:.40}' is no number", fields[i]);
      if (value) values.push_back(*value);
    }
    if (!wrong.empty()) {
      values.resize(before);
      if (rows == 0)
        return fail(ErrorKind::input, wrong, reader.place(), "Write a line per layer, a number per expert");
      note = fmt::format("Line {} is broken or cut off ({}); the {} layers before it were read.", reader.line(), wrong,
                         rows);
      break;
    }
    width = fields.size();
    ++rows;
  }
  const std::vector<std::uint64_t> shape{rows, width};
  auto out = counts_trace(values, shape, file.place());
  if (out && !note.empty()) out->notes.push_back(note);
  return out;
}

Expected<RawTrace> read_lines(const SourceFile& file) {
  SparseCounts counts;
  std::vector<std::string> notes;
  CsvReader reader(file.text(), file.place(), ' ');
  std::vector<std::string> fields;
  for (;;) {
    const auto more = reader.next(fields);
    if (more && !*more) break;
    const auto layer = more && fields.size() == 3 ? whole_number(fields[0]) : std::nullopt;
    const auto expert = layer ? whole_number(fields[1]) : std::nullopt;
    const auto count = expert ? whole_number(fields[2]) : std::nullopt;
    if (count && *layer < 0) continue;
    const std::string wrong = count ? counts.add(*layer, *expert, *count) : "it is not layer, expert, count";
    if (wrong.empty()) continue;
    if (counts.empty()) return fail(ErrorKind::input, wrong, reader.place(), "Write lines of layer, expert, count");
    notes.push_back(
        fmt::format("Line {} is broken or cut off ({}); what comes before it was read.", reader.line(), wrong));
    break;
  }
  auto out = counts.trace();
  if (out) out->notes.insert(out->notes.end(), notes.begin(), notes.end());
  return out;
}

Expected<RawTrace> read_one(SourceFile& file, const WorkContext& work) {
  if (file.kind() == FileKind::npy) {
    if (!file.npy()) return fail(file.npy().error());
    const TensorView& array = file.npy()->tensor;
    if ((array.shape.size() != 2 && array.shape.size() != 3) || array.elements() > array_limit ||
        array.elements() == 0) {
      return fail(ErrorKind::input, "the array is not [layer, expert] or [step, layer, expert]", file.place(),
                  "Choose another --format");
    }
    auto out = counts_trace(tensor_numbers(array), array.shape, file.place());
    if (out && file.npy()->missing_bytes > 0) {
      out->notes.push_back(
          fmt::format("The array is cut off by {} bytes; its whole entries were read.", file.npy()->missing_bytes));
    }
    return out;
  }
  if (file.kind() == FileKind::json || file.kind() == FileKind::json_lines) {
    if (!file.json()) return fail(file.json().error());
    const Json* const counts = counts_in(*file.json());
    auto array = counts == nullptr ? std::nullopt : json_array(*counts, 3);
    if (!array && counts != nullptr) array = json_array(*counts, 2);
    if (!array)
      return fail(ErrorKind::input, "there are no nested lists of numbers [layer][expert] in it", file.place(),
                  "Lists must all be of one length");
    return counts_trace(array->values, array->shape, file.place());
  }
  if (numbers_only(file.first_line(), ' ') && std::count(file.first_line().begin(), file.first_line().end(), ' ') == 2)
    return read_lines(file);
  return read_matrix(file, work);
}

Expected<RawTrace> read(const SourceFiles& files, const ImportOptions&, const WorkContext& work) {
  if (header_begins(*files.front(), "layer,expert,count"))
    return read_sparse(files, {{"layer", "expert", "count"}, 3}, work);
  if (files.size() > 1) {
    return fail(ErrorKind::usage, "several tables of counts cannot become one trace", files[1]->place(),
                "Import one at a time");
  }
  return read_one(*files.front(), work);
}

const RegisterImporter sglang{{"sglang-csv", "SGLang expert distribution CSV (old)",
                               "CSV with layer_id, expert_id, count (SGLang before 2025)", score_old_sglang,
                               read_old_sglang}};
const RegisterImporter uses{{"moe-trace-csv", "llama.cpp moe_trace",
                             "CSV with layer, expert, a line per use (llama.cpp)", score_uses, read_uses}};
const RegisterImporter tables{{"expert-counts", "table of counts",
                               "counts [layer, expert] as CSV, JSON, .npy or lines of layer, expert, count", score,
                               read}};

}  // namespace
}  // namespace moescope::count_tables
