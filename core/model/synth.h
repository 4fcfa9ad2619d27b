// Random checkpoints of any size in the Hugging Face layout, for tests and benchmarks. Called by `moescope-cli synth`
// and by tests; writes as a stream, so memory stays small whatever the size. One thread at a time per folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/io/tensor_view.h"

namespace moescope {

struct SynthOptions {
  std::string family = "olmoe";
  std::uint32_t layers = 4, experts = 8, k = 2, hidden = 64, intermediate = 64;
  std::uint32_t heads = 4, kv_heads = 0;  // kv_heads 0 = heads
  std::uint32_t vocabulary = 512, max_positions = 4096;
  bool renormalise = false;
  bool tied_embeddings = false;
  DType type = DType::bf16;  // bf16 or f32
  std::uint64_t seed = 1;
  std::uint64_t shard_bytes = 0;    // 0 = one file; else a new shard when a file would grow beyond
  std::filesystem::path tokenizer;  // tokenizer.json to copy; empty = none
};

struct SynthSummary {
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;  // of all weight files
  std::uint32_t files = 0;  // weight files
};

// Writes config.json and the weights into `folder`, which is made when absent. The same options and seed give the same
// numbers on every machine, however they are sharded.
// Weights: a sum of four uniform numbers (near-normal, no library function that differs between machines) with standard
// deviation 1/sqrt(inputs); norms near 1; embeddings 1; the router twice the usual, so that logits spread by about 2
// and routing is neither uniform nor stuck on one expert. Errors: usage for sizes that make no model (with the key of
// config.json) or a folder that has a checkpoint already; input for a full disk; cancelled, and then no file is left.
[[nodiscard]] MOESCOPE_API Expected<SynthSummary> write_random_checkpoint(const SynthOptions& options,
                                                                          const std::filesystem::path& folder,
                                                                          const WorkContext& work = {});

}  // namespace moescope
