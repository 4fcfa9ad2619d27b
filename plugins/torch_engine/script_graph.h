// The routers of a TorchScript module: where its forward pass makes the logits that a top-k chooses experts from. Used
// by script runs; one thread.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace moescope::torch_engine {

struct ScriptRouter {
  std::string name;          // of the module that holds the weight, "layers.0.gate", or of the one that was asked for
  std::int64_t experts = 0;  // rows of that weight; 0 = it shows when it runs
  std::int64_t k = 0;        // of the choice; 0 = not known before it runs
  std::string score;         // "softmax" or "sigmoid" between logits and choice; empty = the logits are chosen from
  bool chooses = false;      // the choice itself was found: its ids are what the script uses
  bool has_values = false;   // the scores of what was chosen are there as well
  bool sorted = true;        // the choice is in falling order of score
  std::size_t logits = 0;    // numbers of the graph's outputs
  std::size_t ids = 0, values = 0;
};

// A forward pass that returns what the routers made besides its own result, which is output 0.
struct ScriptGraph {
  std::shared_ptr<torch::jit::Graph> graph;
  std::vector<ScriptRouter> routers;
  std::vector<std::string> notes;    // what was seen and cannot be recorded
  std::vector<std::string> modules;  // names of all modules, for errors
};

// Finds the routers: a product with a weight of the module, softmax or sigmoid, top-k (or the largest one). With
// `names` those modules instead, whose forward gives the logits; the choice is found where there is one. Errors: input
// for a module without a forward pass; usage for a name that there is no module of, or that the pass does not call once
// outside of branches and loops.
[[nodiscard]] Expected<ScriptGraph> find_script_routers(const torch::jit::Module& module,
                                                        const std::vector<std::string>& names);

}  // namespace moescope::torch_engine
