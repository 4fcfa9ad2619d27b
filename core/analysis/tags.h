// Tags of tokens as codes into names, over all segments. Used by the analyses of this folder, from any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/trace/trace.h"

namespace moescope {

// Tags that have names for their codes (numeric tags do not), in order.
[[nodiscard]] std::vector<std::string> tag_names_of(const Trace& trace);

// Codes of one tag; refers to the trace's segments. Names come from the segments, else from the trace's info; a code
// without a name is untagged.
class TagReader {
 public:
  TagReader(const Trace& trace, const std::string& tag);
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // Code of a token, -1 = untagged.
  [[nodiscard]] int code(const Segment& segment, std::size_t token) const;

 private:
  std::vector<std::string> names_;
  std::map<const Segment*, const TagColumn*> columns_;
};

// The tag that a parameter names; errors (usage) list the tags there are.
[[nodiscard]] Expected<TagReader> find_tag(const Trace& trace, const std::string& tag);

}  // namespace moescope
