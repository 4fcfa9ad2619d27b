#include "core/base/error.h"

#include <array>

namespace moescope {
namespace {

struct KindRow {
  ErrorKind kind;
  const char* name;
  int code;
};

constexpr std::array<KindRow, 7> kind_rows{{{ErrorKind::usage, "usage", 1},
                                            {ErrorKind::input, "input", 2},
                                            {ErrorKind::module, "module", 3},
                                            {ErrorKind::device, "device", 4},
                                            {ErrorKind::partial, "partial", 5},
                                            {ErrorKind::cancelled, "cancelled", 130},
                                            {ErrorKind::internal, "internal", 3}}};

}  // namespace

std::string Error::text() const {
  std::string out = what;
  if (!where.empty()) out += " (" + where + ")";
  if (!advice.empty()) out += ". " + advice;
  return out;
}

int exit_code(ErrorKind kind) {
  for (const KindRow& row : kind_rows) {
    if (row.kind == kind) return row.code;
  }
  return 3;
}

const char* error_kind_name(ErrorKind kind) {
  for (const KindRow& row : kind_rows) {
    if (row.kind == kind) return row.name;
  }
  return "internal";
}

ErrorKind error_kind_from_name(const std::string& name) {
  for (const KindRow& row : kind_rows) {
    if (name == row.name) return row.kind;
  }
  return ErrorKind::internal;
}

}  // namespace moescope
