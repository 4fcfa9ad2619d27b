// The filters that were applied lately, so that undoing one, or going back to a trace, reads no token again. A mask has
// one bit per token. Main thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/trace/selection.h"
#include "core/trace/trace.h"

namespace moescope {

class FilterMemory {
 public:
  explicit FilterMemory(std::size_t capacity) : capacity_(capacity) {}
  // A trace is known by itself, not by its id: a file that was opened again may hold other tokens.
  [[nodiscard]] std::optional<AppliedFilter> find(const std::shared_ptr<const Trace>& trace, const std::string& text) {
    forget_closed();
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Entry& e) {
      return e.first.lock() == trace && e.second.filter.text == text;
    });
    if (found == kept_.end()) return std::nullopt;
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front().second;
  }
  void put(const std::shared_ptr<const Trace>& trace, AppliedFilter applied) {
    forget_closed();
    kept_.emplace_front(trace, std::move(applied));
    if (kept_.size() > capacity_) kept_.pop_back();
  }

 private:
  using Entry = std::pair<std::weak_ptr<const Trace>, AppliedFilter>;
  void forget_closed() {
    kept_.remove_if([](const Entry& entry) { return entry.first.expired(); });
  }

  std::size_t capacity_;
  std::list<Entry> kept_;  // the last used first
};

}  // namespace moescope
