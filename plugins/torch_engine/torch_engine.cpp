#include "plugins/torch_engine/torch_engine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <malloc.h>
#include <torch/csrc/api/include/torch/version.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>

#include "core/base/process.h"
#include "core/base/threads.h"
#include "core/engine/sampling.h"
#include "core/model/checkpoint.h"
#include "core/trace/trace_file.h"
#include "plugins/torch_engine/blocks/less_memory.h"
#include "plugins/torch_engine/blocks/memory.h"
#include "plugins/torch_engine/forward.h"
#include "plugins/torch_engine/generate.h"
#include "plugins/torch_engine/interrupt.h"
#include "plugins/torch_engine/live_trace.h"
#include "plugins/torch_engine/script_run.h"
#include "plugins/torch_engine/trace_output.h"
#include "plugins/torch_engine/weights.h"

namespace moescope::torch_engine {
namespace {

Expected<at::Device> choose_device(Device asked) {
  const bool cuda = at::hasCUDA();
  if (asked == Device::cuda && !cuda) {
    return fail(ErrorKind::device, "there is no CUDA device that this LibTorch can use", {},
                "Run on the CPU, or install a driver and a LibTorch built with CUDA");
  }
  return at::Device(cuda && asked != Device::cpu ? at::kCUDA : at::kCPU);
}

std::string gigabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) * 1e-9);
  return text;
}

Residence choose_residence(const Checkpoint& checkpoint, const RunRequest& request, const RunPlan& plan,
                           at::Device device) {
  const std::uint64_t needed =
      checkpoint.spec().parameters_total() * (request.compute_type == ComputeType::float32 ? 4 : 2);
  const bool given = request.memory_limit > 0;
  const std::uint64_t limit = given ? request.memory_limit : available_memory() / 2;
  Residence out;
  // On a device without a limit the whole model is tried first: Weights streams when it turns out too small.
  out.resident = needed < limit || (!device.is_cpu() && !given);
  out.expert_cache = limit / 4;
  // With four choices per expert, about 98 of 100 experts are chosen by some token even at random.
  out.prefetch_experts = true;
  for (const RouterRow& row : plan.rows) {
    out.prefetch_experts = out.prefetch_experts && plan.tokens * row.k >= std::size_t{4} * row.experts;
  }
  const std::string place = given ? "the limit of " + gigabytes(limit) : "half of the free memory, " + gigabytes(limit);
  out.why = out.resident ? "all weights stay in memory: " + gigabytes(needed) + " fit into " + place
                         : "weights are streamed layer by layer: " + gigabytes(needed) + " do not fit into " + place;
  return out;
}

Unexpected out_of_memory(const std::string& what, std::string advice) {
  return fail(ErrorKind::device, "the device ran out of memory", what.substr(0, what.find('\n')), std::move(advice));
}
constexpr const char* shorter = "Run shorter sequences, use bfloat16, or run on the CPU";

// The first line of a torch error, without the stack that follows.
std::string first_line(const char* text) {
  const std::string whole(text);
  return whole.substr(0, whole.find('\n'));
}

}  // namespace

TorchEngine::TorchEngine() {
#if defined(__GLIBC__)
  // Large buffers come and go with every operation: keep them in the heap instead of mapping fresh pages each time.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 128 << 20);
#endif
}

Expected<EngineInfo> TorchEngine::info() {
  EngineInfo out;
  out.name = std::string("LibTorch ") + TORCH_VERSION;
  out.devices = {"cpu"};
  if (at::hasCUDA()) out.devices.insert(out.devices.begin(), "cuda");
  out.device = out.devices.front();
  return out;
}

Expected<RunSummary> TorchEngine::run(const RunRequest& request, const WorkContext& work) {
  // The module's edge: nothing that torch throws goes further.
  try {
    return run_on(request, work);
  } catch (const Interrupted&) {
    return fail(ErrorKind::cancelled, "the run was cancelled");
  } catch (const WeightError& e) {
    return fail(e.error);
  } catch (const std::bad_alloc&) {
    return out_of_memory("memory of the computer", shorter);
  } catch (const std::exception& e) {
    if (is_out_of_memory(e.what())) return out_of_memory(e.what(), shorter);
    return fail(ErrorKind::internal, "LibTorch failed: " + first_line(e.what()));
  }
}

Expected<RunSummary> TorchEngine::run_on(const RunRequest& request, const WorkContext& work) {
  const c10::InferenceMode inference;
  at::set_num_threads(request.threads > 0 ? request.threads : engine_threads());
  if (request.script) return run_script(request, work);
  work.report("Opening the checkpoint", 0.0);
  const auto checkpoint = Checkpoint::open(request.checkpoint);
  if (!checkpoint) return fail(checkpoint.error());
  const ModelSpec& spec = (*checkpoint)->spec();
  const auto device = choose_device(request.device);
  if (!device) return fail(device.error());
  auto plan = plan_run(request, spec);
  if (!plan) return fail(plan.error());

  const at::ScalarType compute = request.compute_type == ComputeType::float32 ? at::kFloat : at::kBFloat16;
  const Residence residence = choose_residence(**checkpoint, request, *plan, *device);
  Weights weights(*checkpoint, compute, *device, residence);
  RunSummary out;
  std::optional<Generation> generation;
  if (request.generate) {
    if (auto ok = check_generate(*request.generate); !ok) return fail(ok.error());
    const auto begin = std::chrono::steady_clock::now();
    LiveTrace live(request.generate->live_trace, *plan, **checkpoint);
    const auto so_far = [&live](const RunRequest& extended, const std::vector<DecisionLog>& logs) {
      live.show(extended, logs);
    };
    auto made = generate_tokens(request, *plan, **checkpoint, weights, so_far, work);
    if (!made) return fail(made.error());
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    generation = std::move(*made);
    out.generated = generation->tokens;
    plan = plan_run(generation->extended, spec);
    if (!plan) return fail(plan.error());
  }
  const RunRequest& recorded = generation ? generation->extended : request;
  OutputSampler sampler(request.record.sampled_outputs, plan->rows.size());
  const Trace head = trace_head(recorded, *plan, **checkpoint);
  auto writer = TraceWriter::create(request.out, head, plan->tokens);
  if (!writer) return fail(writer.error());

  double loss_sum = 0;
  std::size_t loss_count = 0;
  bool smaller = false;
  for (SequenceGroup& group : plan->groups) {
    std::optional<Recorder> recorder;
    const auto start = [&] {  // once more from the beginning when memory ran out in the middle
      sampler.forget(group.first_token);
      recorder.emplace(request.record, *plan, group, spec.vocabulary,
                       request.record.sampled_outputs > 0 ? &sampler : nullptr);
    };
    if (generation) {
      start();
      for (std::size_t s = group.first_sequence; s < group.first_sequence + group.sequences; ++s) {
        generation->logs[s].replay(*recorder, plan->sequences[s].first_token - group.first_token);
      }
    } else {
      const auto begin = std::chrono::steady_clock::now();
      const SmallerSteps steps{[&] { return halve_batches(*plan, group) && (smaller = true); },
                               [&] { return weights.stream(); }};
      const std::uint64_t number = compute == at::kFloat ? 4 : 2;
      auto done = run_within_memory(
          [&] {
            start();
            return run_group(request, *plan, group, spec, weights, &*recorder, work);
          },
          steps,
          [&](const std::string& failure) { return out_of_memory(failure, what_would_fit(spec, number, failure)); });
      if (!done) return fail(done.error());
      out.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    const auto [sum, count] = recorder->loss_total();
    loss_sum += sum;
    loss_count += count;
    Segment segment = recorder->take_segment();
    add_request_columns(recorded, *plan, group, head, segment);
    if (auto done = writer->append(segment); !done) return fail(done.error());
  }
  if (auto fault = (*checkpoint)->fault()) return fail(*fault);
  out.mean_loss = loss_count > 0 ? loss_sum / static_cast<double>(loss_count) : std::nan("");
  out.notes = plan->notes;
  out.notes.push_back(weights.resident() || !residence.resident
                          ? residence.why
                          : "the device could not hold all weights: they were streamed layer by layer");
  if (smaller) out.notes.emplace_back("memory ran out on the way: batches were made smaller");
  work.report("Writing the trace", 0.99);
  if (request.record.sampled_outputs > 0) {
    const auto file = write_sampled_outputs(request, *plan, sampler);
    if (!file) return fail(file.error());
    out.notes.push_back("sampled expert outputs are in " + *file);
  }
  if (auto written = writer->finish(); !written) return fail(written.error());
  out.trace_file = request.out;
  out.tokens = plan->tokens;
  out.sequences = plan->sequences.size();
  out.device = device->is_cpu() ? "cpu" : "cuda";
  out.compute_type = compute_type_name(request.compute_type);
  out.peak_bytes = peak_resident_bytes();
  return out;
}

}  // namespace moescope::torch_engine
