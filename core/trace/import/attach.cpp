#include "core/trace/import/attach.h"

#include <fmt/format.h>

#include <set>

#include "core/trace/trace_hash.h"

namespace moescope {
namespace {

constexpr const char* advice = "Give the model that the trace was recorded on";

// Rows that count 0, 1, 2 … in a model that has dense layers between are positions.
void place_rows(const ModelFacts& model, std::vector<RouterRow>& rows) {
  bool positions = rows.size() == model.moe_layers() && rows.size() < model.moe.size();
  for (std::size_t r = 0; r < rows.size(); ++r) positions = positions && rows[r].layer == static_cast<int>(r);
  std::size_t next = 0;
  for (std::size_t layer = 0; positions && layer < model.moe.size(); ++layer) {
    if (model.moe[layer]) rows[next++].layer = static_cast<int>(layer);
  }
}

}  // namespace

Expected<Trace> attach_model(Trace trace, const ImportOptions& options) {
  if (options.model) {
    const ModelFacts& model = *options.model;
    TraceInfo info = *trace.info;
    place_rows(model, info.rows);
    for (RouterRow& row : info.rows) {
      if (row.block != "decoder" || row.site != "mlp") continue;
      if (!info.physical_ids && row.experts - row.null_experts != model.experts) {
        return fail(ErrorKind::input,
                    fmt::format("layer {} of the trace has {} experts, the model has {}", row.layer, row.experts,
                                model.experts),
                    trace.name, advice);
      }
      if (static_cast<std::size_t>(row.layer) >= model.moe.size()) {
        return fail(ErrorKind::input,
                    fmt::format("the trace has layer {}, the model has {} layers", row.layer, model.moe.size()),
                    trace.name, advice);
      }
      row.shared = model.shared;
      if (row.rule.empty()) row.rule = model.rule;
    }
    info.model_name = model.name;
    info.model_family = model.family;
    info.config_hash = model.config_hash;
    trace.info = std::make_shared<const TraceInfo>(std::move(info));
  }
  if (options.token_bytes) {
    std::set<std::int32_t> ids;
    for (const auto& segment : trace.segments) {
      for (const std::int32_t id : segment->token_ids.values) {
        if (ids.size() < token_texts_limit && id >= 0) ids.insert(id);
      }
    }
    for (const std::int32_t id : ids) {
      std::string bytes = options.token_bytes(id);
      if (!bytes.empty()) trace.vocabulary.insert_or_assign(id, std::move(bytes));
    }
  }
  return trace;
}

}  // namespace moescope
