// Errors as values: what happened, where, and what the user can do about it. Returned by every fallible function;
// handled once, by the command that was asked for. Plain data: any thread.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "core/base/export.h"

namespace moescope {

enum class ErrorKind {
  usage,      // the request itself is wrong: an unknown command, a bad parameter, a filter that does not parse
  input,      // a file, checkpoint or trace is bad
  module,     // the engine module or a plugin is missing, refused or died
  device,     // the device has too little memory or failed
  partial,    // part of the work was done and kept
  cancelled,  // the user stopped it
  internal,   // a defect of the program
};

// One error. `where` names file, offset, tensor or line; `advice` is what to do, in one sentence.
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string what;
  std::string where;
  std::string advice;

  // "what (where). advice", for a status line or a terminal.
  [[nodiscard]] MOESCOPE_API std::string text() const;
};

// Exit code of the command line for an error: 1 usage, 2 input, 3 module or internal, 4 device, 5 partial, 130
// cancelled.
[[nodiscard]] MOESCOPE_API int exit_code(ErrorKind kind);
[[nodiscard]] MOESCOPE_API const char* error_kind_name(ErrorKind kind);
[[nodiscard]] MOESCOPE_API ErrorKind error_kind_from_name(const std::string& name);

// A value or an Error. `Expected<void>` for actions.
template <typename T>
using Expected = tl::expected<T, Error>;
using Unexpected = tl::unexpected<Error>;

[[nodiscard]] inline Unexpected fail(ErrorKind kind, std::string what, std::string where = {},
                                     std::string advice = {}) {
  return Unexpected(Error{kind, std::move(what), std::move(where), std::move(advice)});
}
[[nodiscard]] inline Unexpected fail(Error error) {
  return Unexpected(std::move(error));
}

}  // namespace moescope
