// Finding a text in a trace, also across token borders. Pure function: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

struct TokenHit {
  std::uint64_t first = 0;  // token
  std::uint32_t count = 1;  // tokens that the text touches
};

// At most `most` hits among the tokens that the filter keeps, in order. ASCII letters match in either case.
[[nodiscard]] std::vector<TokenHit> find_in_tokens(const Trace& trace, const TokenMask& mask, const std::string& text,
                                                   std::size_t most, const CancelToken& cancel);

}  // namespace moescope
