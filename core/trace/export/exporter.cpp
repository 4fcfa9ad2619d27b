#include "core/trace/export/exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/io/output_file.h"
#include "core/trace/export/exporters.h"
#include "core/trace/trace_file.h"

namespace moescope {
namespace {

using Json = nlohmann::json;
constexpr int layer_limit = 100'000;

Expected<void> export_own(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>&,
                          const WorkContext&) {
  return write_trace(trace, out);
}

void say_what_is_lost(const Trace& trace, std::vector<std::string>& notes) {
  if (trace.has_ids()) notes.emplace_back("Only counts are in this format; tokens, weights and logits are not.");
  if (trace.info->physical_ids)
    notes.emplace_back("The ids of the trace are physical places, so these counts are, too.");
}

// SGLang's logical_count: a row per layer of the model, dense ones zero.
Expected<void> export_sglang(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>& notes,
                             const WorkContext& work) {
  const auto counts = counts_per_row(trace, work);
  if (!counts) return fail(counts.error());
  int last = -1;
  std::size_t width = 0;
  for (const RouterRow& row : trace.rows()) {
    last = std::max(last, row.layer);
    width = std::max<std::size_t>(width, row.experts);
  }
  if (last >= layer_limit)
    return fail(ErrorKind::input, fmt::format("layer {} is too high", last), trace.name, "Correct the trace");
  std::vector<std::vector<std::int64_t>> layers(static_cast<std::size_t>(last + 1),
                                                std::vector<std::int64_t>(width, 0));
  for (std::size_t r = 0; r < counts->size(); ++r) {
    const RouterRow& row = trace.rows()[r];
    if (row.block != "decoder" || row.site != "mlp") continue;
    std::copy((*counts)[r].begin(), (*counts)[r].end(), layers[static_cast<std::size_t>(row.layer)].begin());
  }
  notes.push_back(fmt::format("Layers 0 to {}; dense layers behind them would be missing.", last));
  say_what_is_lost(trace, notes);
  return write_whole_file(out, Json{{"logical_count", layers}}.dump() + "\n");
}

// A row per router: [MoE layer][expert], as vLLM keeps its expert load, with the layers beside it.
Expected<void> export_vllm(const Trace& trace, const std::filesystem::path& out, std::vector<std::string>& notes,
                           const WorkContext& work) {
  const auto counts = counts_per_row(trace, work);
  if (!counts) return fail(counts.error());
  std::vector<int> layers;
  for (const RouterRow& row : trace.rows()) layers.push_back(row.layer);
  say_what_is_lost(trace, notes);
  return write_whole_file(out, Json{{"moe_layers", layers}, {"expert_load", *counts}}.dump() + "\n");
}

const std::array<Exporter, 6> table{
    {{"own", "MoEScope trace (.routes.safetensors)", export_own},
     {"npz", "NumPy arrays (.npz)", export_npz},
     {"csv", "CSV, a line per chosen expert", export_csv},
     {"sglang-json", "SGLang logical_count (JSON)", export_sglang},
     {"vllm-json", "vLLM expert load (JSON)", export_vllm},
     {"exflow-npy", "ExFlow trace, the first expert of each token (.npy)", export_exflow}}};

}  // namespace

std::span<const Exporter> exporters() {
  return table;
}

Expected<const Exporter*> find_exporter(const std::string& name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Exporter& e) { return e.name == name; });
  if (found != table.end()) return &*found;
  std::vector<std::string> names;
  names.reserve(std::size(table));
  for (const Exporter& exporter : table) names.push_back(exporter.name);
  return fail(ErrorKind::usage, fmt::format("there is no format '{}' to export to", name), "",
              fmt::format("Formats: {}", fmt::join(names, ", ")));
}

Expected<std::vector<std::vector<std::int64_t>>> counts_per_row(const Trace& trace, const WorkContext& work) {
  std::vector<std::vector<std::int64_t>> out;
  for (const RouterRow& row : trace.rows()) out.emplace_back(row.experts, 0);
  if (!trace.has_ids()) {
    if (trace.counts.empty()) {
      return fail(ErrorKind::input, "the trace has neither expert ids nor counts", trace.name,
                  "Record at least one of them");
    }
    for (std::size_t s = 0; s < trace.counts.steps; ++s) {
      for (std::size_t r = 0; r < out.size(); ++r) {
        for (std::size_t e = 0; e < out[r].size(); ++e) {
          out[r][e] += trace.counts.values[(s * trace.counts.rows + r) * trace.counts.emax + e];
        }
      }
    }
    return out;
  }
  for (const auto& segment : trace.segments) {
    for (std::size_t r = 0; r < segment->rows; ++r) {
      if (work.cancelled()) return fail(ErrorKind::cancelled, "the export was stopped");
      out[r].push_back(0);  // collects ids that are no experts
      for (std::size_t t = 0; t < segment->tokens; ++t) {
        const std::size_t filled = segment->filled(r, t);
        for (std::size_t s = 0; s < filled; ++s) ++out[r][segment->id_below(trace.rows()[r].experts, r, t, s)];
      }
      out[r].pop_back();
    }
  }
  return out;
}

}  // namespace moescope
