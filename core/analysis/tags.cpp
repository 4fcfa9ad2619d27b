#include "core/analysis/tags.h"

#include <algorithm>
#include <set>

namespace moescope {

std::vector<std::string> tag_names_of(const Trace& trace) {
  std::set<std::string> tags;
  for (const auto& segment : trace.segments) {
    for (const auto& [tag, column] : segment->tags) {
      if (!column.codes.empty()) tags.insert(tag);
    }
  }
  return {tags.begin(), tags.end()};
}

TagReader::TagReader(const Trace& trace, const std::string& tag) {
  for (const auto& segment : trace.segments) {
    const auto found = segment->tags.find(tag);
    if (found == segment->tags.end() || found->second.codes.empty()) continue;
    columns_.emplace(segment.get(), &found->second);
    if (found->second.names.size() > names_.size()) names_ = found->second.names;
  }
  if (names_.empty() && trace.info) {
    const auto found = trace.info->tag_names.find(tag);
    if (found != trace.info->tag_names.end()) names_ = found->second;
  }
}

int TagReader::code(const Segment& segment, std::size_t token) const {
  const auto found = columns_.find(&segment);
  if (found == columns_.end()) return -1;
  const std::int32_t code = found->second->codes[token];
  return code >= 0 && static_cast<std::size_t>(code) < names_.size() ? code : -1;
}

Expected<TagReader> find_tag(const Trace& trace, const std::string& tag) {
  const auto tags = tag_names_of(trace);
  TagReader reader(trace, tag);
  if (std::find(tags.begin(), tags.end(), tag) != tags.end() && !reader.names().empty()) return reader;
  std::string known;
  for (const auto& name : tags) known += (known.empty() ? "" : ", ") + name;
  return fail(ErrorKind::usage, "the trace has no tag \"" + tag + "\" with named values", "parameter tag",
              known.empty() ? "It has no tags" : "It has " + known);
}

}  // namespace moescope
