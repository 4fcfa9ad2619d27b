// Measures what a brush over tokens costs in the window: how long until the shown view has its first numbers of the
// brushed tokens, until all are counted, until intervals and nulls are there, and the longest time in which the window
// did not answer. Main thread only.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.h"

namespace moescope {

class MainWindow;

// Brushes the open trace `count` times, a twentieth, a fifth and half of its tokens in turn, and says what it took, one
// line each. Errors (usage) when there is no trace or the view draws no figure.
[[nodiscard]] Expected<std::string> time_brushes(MainWindow& window, int count);

// Memory of this process that no file backs, in bytes: what a mapped trace is not part of. 0 where the system does not
// tell.
[[nodiscard]] std::uint64_t private_bytes();

}  // namespace moescope
