// What a run does when memory runs out: smaller batches, then streamed weights, then words on what would fit. Used by
// the engine around each group; one thread.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <new>
#include <string>

#include "core/base/error.h"
#include "core/model/model_spec.h"
#include "plugins/torch_engine/blocks/memory.h"

namespace moescope::torch_engine {

struct SmallerSteps {
  std::function<bool()> halve_batches;  // false = they cannot get smaller
  std::function<bool()> stream;         // gives up resident weights; false = there are none
};

// Calls `run` until memory suffices: after each failure the batches are halved, and when they are as small as they can
// be the weights are streamed. When nothing is left to try, `give_up` makes the error from what the failure says. What
// is not about memory is thrown on.
inline Expected<void> run_within_memory(const std::function<Expected<void>()>& run, const SmallerSteps& steps,
                                        const std::function<Expected<void>(const std::string&)>& give_up) {
  for (;;) {
    try {
      return run();
    } catch (const std::exception& e) {
      const bool memory = dynamic_cast<const std::bad_alloc*>(&e) != nullptr || is_out_of_memory(e.what());
      if (!memory) throw;
      if (!steps.halve_batches() && !steps.stream()) return give_up(e.what());
    }
  }
}

// For the advice of an error: the memory that one streamed layer and each token of a batch need, and, where the failure
// names the device's size, how many tokens of a sequence that leaves room for. `bytes` per number of a product.
[[nodiscard]] std::string what_would_fit(const ModelSpec& spec, std::uint64_t bytes, const std::string& failure);

}  // namespace moescope::torch_engine
