#include "plugins/torch_engine/blocks/memory.h"

#include <fstream>

namespace moescope::torch_engine {

std::uint64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  std::uint64_t kilobytes = 0;
  while (file >> name >> kilobytes) {
    std::getline(file, unit);
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

bool is_out_of_memory(const std::string& text) {
  for (const char* sign : {"out of memory", "can't allocate memory", "not enough memory"}) {
    if (text.find(sign) != std::string::npos) return true;
  }
  return false;
}

}  // namespace moescope::torch_engine
