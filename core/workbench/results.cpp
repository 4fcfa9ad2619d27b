// Results for the active trace and filter, or of the active checkpoint: from memory, from the session's cache, or
// computed.
#include <algorithm>
#include <utility>

#include "core/analysis/parameters.h"
#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/session/result_pack.h"
#include "core/workbench/state.h"
#include "core/workbench/workbench.h"

namespace moescope {
namespace {

Unexpected no_trace() {
  return fail(ErrorKind::usage, "there is no trace to analyse", "", "Open a trace, or run a prompt");
}

// What a job needs, detached from the state that may change meanwhile.
struct Computation {
  std::string key, analysis;
  nlohmann::json params;
  std::shared_ptr<const Trace> trace;            // one of the two
  std::shared_ptr<const Checkpoint> checkpoint;  // is filled
  AppliedFilter filter;
  ResultPtr result;
  std::string packed;

  Expected<void> run(const WorkContext& work, const std::function<void(Result)>& partial = {}) {
    auto computed = checkpoint ? run_checkpoint_analysis(analysis, *checkpoint, params, work)
                               : run_analysis(analysis, *trace, filter, params, work, partial);
    if (!computed) return fail(computed.error());
    result = std::make_shared<const Result>(std::move(*computed));
    if (!key.empty()) packed = pack_result(*result).value_or("");
    return {};
  }
};

// What a request means in the present state. Errors: there is nothing open to compute it from.
Expected<Computation> computation(const WorkbenchState& state, const std::string& analysis,
                                  const nlohmann::json& params) {
  Computation out;
  out.key = state.key_of(analysis, params);
  out.analysis = analysis;
  out.params = params;
  if (find_checkpoint_analysis(analysis)) {
    const Source* source = state.active(SourceKind::checkpoint);
    if (!source || !source->checkpoint) {
      if (source && source->error) return fail(*source->error);
      return fail(ErrorKind::usage, "there is no checkpoint to analyse", "", "Open a checkpoint");
    }
    out.checkpoint = source->checkpoint;
    return out;
  }
  const Source* source = state.active(SourceKind::trace);
  if (!source || !source->trace) return source && source->error ? fail(*source->error) : no_trace();
  out.trace = source->trace;
  out.filter = state.filter;
  return out;
}

std::string title_of(const std::string& analysis) {
  if (const CheckpointAnalysisSpec* spec = find_checkpoint_analysis(analysis)) return spec->about.title;
  const AnalysisSpec* spec = find_analysis(analysis);
  return spec ? spec->title : analysis;
}

// The source may have moved since a Result was stored: its command names where the file is now.
void name_present_file(const WorkbenchState& state, Result& result) {
  Provenance& p = result.provenance;
  const CheckpointAnalysisSpec* of_checkpoint = find_checkpoint_analysis(p.analysis);
  const AnalysisSpec* spec = of_checkpoint ? &of_checkpoint->about : find_analysis(p.analysis);
  const std::string path = of_checkpoint ? state.active(SourceKind::checkpoint)->checkpoint->folder().string()
                                         : state.active(SourceKind::trace)->trace->path;
  const bool complete = spec && p.params.is_object() &&
                        std::all_of(spec->parameters.begin(), spec->parameters.end(),
                                    [&](const ParameterSpec& one) { return p.params.contains(one.name); });
  if (complete && !path.empty()) p.command_line = analysis_command_line(*spec, p.params, path, p.filter);
}

ResultPtr find_cached(WorkbenchState& state, const std::string& key) {
  if (key.empty()) return nullptr;
  if (ResultPtr found = state.results.find(key)) return found;
  const auto packed = state.session.cached(key);
  if (!packed) return nullptr;
  auto unpacked = unpack_result(*packed);
  if (!unpacked) return nullptr;  // damaged: computed again and overwritten
  name_present_file(state, *unpacked);
  auto result = std::make_shared<const Result>(std::move(*unpacked));
  state.results.put(key, result);
  return result;
}

// A Result that cannot be cached is still a Result, so a failure to store it is not shown.
void keep(WorkbenchState& state, const Computation& done) {
  if (done.key.empty()) return;
  state.results.put(done.key, done.result);
  if (done.packed.empty()) return;
  const auto stored = state.session.store_cached(done.key, done.analysis, done.packed);
  static_cast<void>(stored);
}

}  // namespace

void Workbench::request_result(const std::string& slot, const std::string& analysis, const nlohmann::json& params,
                               ResultReady ready) {
  WorkbenchState& state = *state_;
  if (!slot.empty()) state.jobs.retire_slot(slot);
  auto wanted = computation(state, analysis, params);
  if (!wanted) return ready(fail(wanted.error()));
  if (ResultPtr found = find_cached(state, wanted->key)) return ready(found);
  auto work = std::make_shared<Computation>(std::move(*wanted));
  state.jobs.start({title_of(analysis), slot, JobLane::pool,
                    [&state, work, ready](const WorkContext& context) {
                      return work->run(context, [&state, ready, cancel = context.cancel](Result part) {
                        auto shown = std::make_shared<const Result>(std::move(part));
                        state.queue.post([ready, cancel, shown = std::move(shown)] {
                          if (!cancel.cancelled()) ready(ResultPtr(shown));
                        });
                      });
                    },
                    [&state, work, ready = std::move(ready)](const Expected<void>& outcome) {
                      if (!outcome) return ready(fail(outcome.error()));
                      keep(state, *work);
                      ready(work->result);
                      state.notify(static_cast<Changes>(Change::results));
                    }});
}

ResultPtr Workbench::known_result(const std::string& analysis, const nlohmann::json& params) {
  const auto wanted = computation(*state_, analysis, params);
  return wanted ? find_cached(*state_, wanted->key) : nullptr;
}

Expected<ResultPtr> Workbench::compute_result(const std::string& analysis, const nlohmann::json& params) {
  WorkbenchState& state = *state_;
  auto work = computation(state, analysis, params);
  if (!work) return fail(work.error());
  if (ResultPtr found = find_cached(state, work->key)) return found;
  if (auto done = work->run({}); !done) return fail(done.error());
  keep(state, *work);
  return work->result;
}

}  // namespace moescope
