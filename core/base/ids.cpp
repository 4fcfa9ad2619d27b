#include "core/base/ids.h"

#include <fmt/format.h>

namespace moescope {

std::string expert_label(int layer, std::uint32_t expert) {
  return fmt::format("L{}·E{:02}", layer, expert);
}

}  // namespace moescope
