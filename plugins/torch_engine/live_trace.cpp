#include "plugins/torch_engine/live_trace.h"

#include <algorithm>

#include "core/trace/trace_file.h"
#include "plugins/torch_engine/recorder.h"
#include "plugins/torch_engine/trace_output.h"

namespace moescope::torch_engine {
namespace {

using LiveClock = std::chrono::steady_clock;
// Often enough to look alive; writing takes at most a tenth of the time.
constexpr std::chrono::milliseconds shortest_pause{300};
constexpr int pause_per_write = 9;

}  // namespace

LiveTrace::LiveTrace(std::filesystem::path file, const RunPlan& plan, const Checkpoint& checkpoint)
    : file_(std::move(file)), plan_(plan), checkpoint_(checkpoint) {}

LiveTrace::~LiveTrace() {
  if (file_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

void LiveTrace::show(const RunRequest& extended, const std::vector<DecisionLog>& logs) {
  if (file_.empty() || LiveClock::now() < next_) return;
  const auto begin = LiveClock::now();
  static_cast<void>(write(extended, logs));
  const auto end = LiveClock::now();
  next_ = end + std::max<LiveClock::duration>(shortest_pause, pause_per_write * (end - begin));
}

Expected<void> LiveTrace::write(const RunRequest& extended, const std::vector<DecisionLog>& logs) const {
  RunRequest now = extended;
  now.record.sampled_outputs = 0;
  for (std::size_t s = logs.size(); s < plan_.sequences.size(); ++s) now.sequences[plan_.sequences[s].input] = {};
  const auto plan = plan_run(now, checkpoint_.spec());
  if (!plan) return fail(plan.error());
  const Trace head = trace_head(now, *plan, checkpoint_);
  auto writer = TraceWriter::create(file_, head, plan->tokens);
  if (!writer) return fail(writer.error());
  for (const SequenceGroup& group : plan->groups) {
    Recorder recorder(now.record, *plan, group, checkpoint_.spec().vocabulary, nullptr);
    for (std::size_t s = group.first_sequence; s < group.first_sequence + group.sequences; ++s)
      logs[s].replay(recorder, plan->sequences[s].first_token - group.first_token);
    Segment segment = recorder.take_segment();
    add_request_columns(now, *plan, group, head, segment);
    if (auto done = writer->append(segment); !done) return done;
  }
  return writer->finish();
}

}  // namespace moescope::torch_engine
