// Routes as a CSV, and first choices as the array that ExFlow reads.
#include <fmt/format.h>

#include <cmath>

#include "core/io/npy.h"
#include "core/io/output_file.h"
#include "core/trace/export/exporters.h"

namespace moescope {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20U;

// Text to a file, a megabyte at a time.
class TextFile {
 public:
  explicit TextFile(OutputFile file) : file_(std::move(file)) {}
  Expected<void> add(std::string_view text) {
    buffer_ += text;
    return buffer_.size() < buffer_bytes ? Expected<void>{} : flush();
  }
  Expected<void> finish() {
    if (auto flushed = flush(); !flushed) return flushed;
    return file_.commit();
  }

 private:
  Expected<void> flush() {
    auto written = file_.write_at(at_, std::as_bytes(std::span(buffer_.data(), buffer_.size())));
    at_ += buffer_.size();
    buffer_.clear();
    return written;
  }
  OutputFile file_;
  std::string buffer_;
  std::uint64_t at_ = 0;
};

std::string fact(const Column<std::int32_t>& column, std::size_t token) {
  return column.empty() || column[token] < 0 ? std::string{} : fmt::format("{}", column[token]);
}

}  // namespace

Expected<void> export_csv(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>& notes,
                          const WorkContext& work) {
  auto made = OutputFile::create(out);
  if (!made) return fail(made.error());
  TextFile file(std::move(*made));
  if (!trace.has_ids()) {
    const auto counts = counts_per_row(trace, work);
    if (!counts) return fail(counts.error());
    if (auto ok = file.add("layer,expert,count\n"); !ok) return ok;
    for (std::size_t r = 0; r < counts->size(); ++r) {
      for (std::size_t e = 0; e < (*counts)[r].size(); ++e) {
        if (auto ok = file.add(fmt::format("{},{},{}\n", trace.rows()[r].layer, e, (*counts)[r][e])); !ok) return ok;
      }
    }
    return file.finish();
  }
  if (auto ok = file.add("token,sequence,position,token_id,row,layer,slot,expert,weight\n"); !ok) return ok;
  if (trace.has_router_logits()) notes.emplace_back("Router logits are not in this format.");
  std::size_t first = 0;
  for (const auto& segment : trace.segments) {
    for (std::size_t t = 0; t < segment->tokens; ++t) {
      if (t % 1024 == 0 && work.cancelled()) return fail(ErrorKind::cancelled, "the export was stopped");
      const std::string facts = fmt::format("{},{},{},{}", first + t, fact(segment->sequence_ids, t),
                                            fact(segment->positions, t), fact(segment->token_ids, t));
      for (std::size_t r = 0; r < segment->rows; ++r) {
        for (std::size_t s = 0; s < segment->filled(r, t); ++s) {
          const float weight = segment->gate_weights.empty()
                                   ? NAN
                                   : segment->gate_weights.at((r * segment->tokens + t) * segment->slots + s);
          auto ok =
              file.add(fmt::format("{},{},{},{},{},{}\n", facts, r, trace.rows()[r].layer, s, segment->id(r, t, s),
                                   std::isnan(weight) ? std::string{} : fmt::format("{}", weight)));
          if (!ok) return ok;
        }
      }
    }
    first += segment->tokens;
  }
  return file.finish();
}

Expected<void> export_exflow(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>& notes,
                             const WorkContext& work) {
  if (!trace.has_ids())
    return fail(ErrorKind::input, "the trace did not record expert ids", trace.name, "Record routes, not counts");
  const bool ranked = trace.info->rank_order;
  if (!ranked && !trace.has_gate_weights()) {
    return fail(ErrorKind::input, "the trace does not know which of a token's experts was the first choice", trace.name,
                "Record ids in order of rank, or gate weights");
  }
  std::vector<std::int64_t> ids;
  std::size_t kept = 0, left_out = 0;
  const std::size_t rows = trace.rows().size();
  for (const auto& segment : trace.segments) {
    for (std::size_t t = 0; t < segment->tokens; ++t) {
      if (t % 1024 == 0 && work.cancelled()) return fail(ErrorKind::cancelled, "the export was stopped");
      bool whole = true;
      for (std::size_t r = 0; whole && r < rows; ++r) whole = segment->filled(r, t) > 0;
      left_out += whole ? 0U : 1U;
      kept += whole ? 1U : 0U;
      for (std::size_t r = 0; whole && r < rows; ++r) {
        std::size_t best = 0;
        for (std::size_t s = 1; !ranked && s < segment->filled(r, t); ++s) {
          const std::size_t at = (r * segment->tokens + t) * segment->slots;
          if (segment->gate_weights.at(at + s) > segment->gate_weights.at(at + best)) best = s;
        }
        ids.push_back(segment->id(r, t, best));
      }
    }
  }
  if (left_out > 0) notes.push_back(fmt::format("{} tokens without an expert at every layer are left out.", left_out));
  notes.emplace_back("Only the first choice of each token is in this format.");
  auto file = OutputFile::create(out);
  if (!file) return fail(file.error());
  const std::vector<std::uint64_t> shape{kept, rows};
  const std::string header = npy_header(DType::i64, shape);
  if (auto ok = file->write_at(0, std::as_bytes(std::span(header.data(), header.size()))); !ok) return ok;
  if (auto ok = file->write_at(header.size(), std::as_bytes(std::span<const std::int64_t>(ids))); !ok) return ok;
  return file->commit();
}

}  // namespace moescope
