// libFuzzer's entry: MOESCOPE_FUZZ_TARGET names the target of this program.
#include <cstdint>

#include "tests/fuzz/entry_points.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const moescope::fuzz::Target& target : moescope::fuzz::targets) {
    if (target.name == MOESCOPE_FUZZ_TARGET) target.run(std::as_bytes(std::span(data, size)));
  }
  return 0;
}
