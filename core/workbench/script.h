// Driving a workbench with lines of text, for tests and automation in both programs. A line is a command with its
// arguments, or the same as one JSON object:
//   note.add {"text": "…"}
//   {"command": "note.add", "arguments": {"text": "…"}, "wait": true}
// and the reply is one line: {"command": …, "ok": true, "reply": …} or {"command": …, "ok": false, "error": {kind,
// what, where, advice}}. "wait" waits for all jobs before it replies; a job that failed then is the error. Main thread
// only.
#pragma once

#include <istream>
#include <ostream>
#include <string>

#include "core/base/export.h"
#include "core/workbench/workbench.h"

namespace moescope {

// Runs one line; gives the reply without a line end. Empty lines and lines that begin with # give an empty reply.
[[nodiscard]] MOESCOPE_API std::string run_script_line(Workbench& workbench, const std::string& given);
// Runs all lines and writes and flushes a reply after each. Gives the number of lines that failed.
MOESCOPE_API int run_script(Workbench& workbench, std::istream& in, std::ostream& out);

}  // namespace moescope
