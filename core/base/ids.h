// Typed ids that travel between traces, figures, selections and commands. Plain data: any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "core/base/export.h"

namespace moescope {

// An expert of one router row of a trace: rows are routers in execution order, not layers (dense layers have no row).
struct ExpertRef {
  std::uint32_t row = 0;
  std::uint32_t expert = 0;
  auto operator<=>(const ExpertRef&) const = default;
};

// Two experts of two rows: i at `from.row`, j at `to.row`.
struct LinkRef {
  ExpertRef from;
  ExpertRef to;
  auto operator<=>(const LinkRef&) const = default;
};

// "L3·E04": how an expert is written everywhere. `layer` is the absolute layer of the row.
[[nodiscard]] MOESCOPE_API std::string expert_label(int layer, std::uint32_t expert);

}  // namespace moescope
