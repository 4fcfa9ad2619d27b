// How a cancel leaves the depths of a forward pass: thrown by the interrupt that the engine gives to the blocks, caught
// where the run began. Nothing else in the project throws it.
#pragma once

namespace moescope::torch_engine {

struct Interrupted {};

}  // namespace moescope::torch_engine
