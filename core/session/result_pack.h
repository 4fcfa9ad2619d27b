// A Result as bytes for the session's cache: CBOR, compressed. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/analysis/result.h"
#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

[[nodiscard]] MOESCOPE_API Expected<std::string> pack_result(const Result& result);
// Error (input) when the bytes are damaged or are no Result.
[[nodiscard]] MOESCOPE_API Expected<Result> unpack_result(std::string_view packed);

}  // namespace moescope
