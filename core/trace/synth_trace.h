// Structured random traces of any size, for tests and benchmarks: popular experts, successors from row to row, experts
// of token ids and of domains, sequences. Called by `moescope-cli synth trace`, benchmarks and tests; any thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/trace/trace.h"

namespace moescope {

struct SynthTraceOptions {
  std::uint32_t layers = 16, experts = 64, k = 8;
  std::uint64_t tokens = 10'000;
  std::uint32_t sequence_length = 1024;
  std::uint32_t vocabulary = 32'768;
  std::uint32_t domains = 4;
  double zipf = 0.5;        // the i-th most popular expert is chosen as 1 / i^zipf
  double markov = 0.25;     // part of the slots that take the successor of the same rank's expert in the row before
  double by_token = 0.25;   // part that the token id decides
  double by_domain = 0.05;  // part that the sequence's domain decides
  std::uint64_t seed = 1;
};

// Tokens [begin, end) as one segment, with ids, `used`, token ids, sequences, positions, domains and a loss. The same
// options and seed give the same tokens on every machine, however they are cut. Errors (usage): sizes that make no
// trace.
[[nodiscard]] MOESCOPE_API Expected<std::shared_ptr<const Segment>> synth_segment(const SynthTraceOptions& options,
                                                                                  std::uint64_t begin,
                                                                                  std::uint64_t end);
// The whole trace in memory.
[[nodiscard]] MOESCOPE_API Expected<Trace> synth_trace(const SynthTraceOptions& options);
// Writes the trace as a stream: memory stays small whatever the size. Errors: usage; input for a full disk; cancelled,
// and then no file is left.
[[nodiscard]] MOESCOPE_API Expected<void> write_synth_trace(const SynthTraceOptions& options,
                                                            const std::filesystem::path& path,
                                                            const WorkContext& work = {});

}  // namespace moescope
