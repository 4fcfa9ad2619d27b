// Memory of the computer and the device. Used by the engine and the weights; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace moescope::torch_engine {

// Bytes that are free without swapping, or 0 when the system does not say.
[[nodiscard]] std::uint64_t available_memory();

// Whether the text of a torch error says that memory ran out: its types differ between versions, its words do not.
[[nodiscard]] bool is_out_of_memory(const std::string& text);

}  // namespace moescope::torch_engine
