#include "core/analysis/kernels/work_items.h"

#include <algorithm>

#include "core/base/parallel.h"

namespace moescope::kernels {
namespace {

constexpr std::size_t most_tokens = std::size_t{1} << 19U;    // of a piece: a cancel or progress is due by then
constexpr std::size_t fewest_tokens = std::size_t{1} << 15U;  // below, tables cost more than they count

}  // namespace

std::vector<WorkItem> split_work(const Trace& trace, std::size_t things, std::size_t begin, std::size_t end,
                                 std::size_t most_things) {
  end = std::min(end, trace.token_count());
  std::vector<WorkItem> items;
  if (begin >= end || things == 0) return items;
  const std::size_t workers = parallel_workers(1024);
  const std::size_t slots = std::max<std::size_t>(1, trace.max_slots());
  const std::size_t groups = std::max((things + most_things - 1) / most_things, std::min(things, workers));
  // Pairs of slots of one token may all fall into one cell of a broken trace.
  const std::size_t safe = std::max<std::size_t>(1, 0xFFFF'FFFFU / (slots * slots));
  const std::size_t wanted = (end - begin) * groups / (workers * 4) + 1;
  const std::size_t stretch = std::min({safe, most_tokens, std::max(fewest_tokens, wanted)});
  const std::size_t stretches = (end - begin + stretch - 1) / stretch;
  for (std::size_t s = 0; s < stretches; ++s) {
    // Cut at whole words of a mask.
    const auto cut = [&](std::size_t i) {
      return i == 0 ? begin : i == stretches ? end : begin + ((end - begin) * i / stretches + 63) / 64 * 64;
    };
    const std::size_t from = std::min(cut(s), end), to = std::min(cut(s + 1), end);
    if (from >= to) continue;
    for (std::size_t g = 0; g < groups; ++g) {
      items.push_back({things * g / groups, things * (g + 1) / groups, from, to});
    }
  }
  return items;
}

}  // namespace moescope::kernels
