#include "views/tokens/token_search.h"

#include <algorithm>

namespace moescope {
namespace {

constexpr std::uint64_t window_tokens = 4096;  // searched at once; windows overlap by the longest hit
constexpr std::uint64_t overlap_tokens = 64;

std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

std::vector<TokenHit> find_in_tokens(const Trace& trace, const TokenMask& mask, const std::string& text,
                                     std::size_t most, const CancelToken& cancel) {
  std::vector<TokenHit> hits;
  const std::string wanted = lowered(text);
  const std::uint64_t total = trace.token_count();
  if (wanted.empty()) return hits;
  for (std::uint64_t begin = 0; begin < total && hits.size() < most && !cancel.cancelled(); begin += window_tokens) {
    const std::uint64_t end = std::min(total, begin + window_tokens + overlap_tokens);
    std::string joined;
    std::vector<std::size_t> starts;
    for (std::uint64_t token = begin; token < end; ++token) {
      starts.push_back(joined.size());
      joined += trace.token_text(token);
    }
    joined = lowered(std::move(joined));
    for (std::size_t at = joined.find(wanted); at != std::string::npos && hits.size() < most;
         at = joined.find(wanted, at + 1)) {
      const auto token_of = [&](std::size_t byte) {
        return static_cast<std::uint64_t>(std::upper_bound(starts.begin(), starts.end(), byte) - starts.begin()) - 1;
      };
      const std::uint64_t first = begin + token_of(at), last = begin + token_of(at + wanted.size() - 1);
      if (first >= begin + window_tokens) break;  // the next window finds it
      if (!mask.test(first)) continue;
      hits.push_back({first, static_cast<std::uint32_t>(last - first + 1)});
    }
  }
  return hits;
}

}  // namespace moescope
