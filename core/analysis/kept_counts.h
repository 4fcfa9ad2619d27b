// Counts kept from earlier calls of an analysis over the same trace, tokens and options, the last used first. Used by
// affinity and token_map; any thread.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/analysis/analysis.h"
#include "core/base/hash.h"

namespace moescope {

template <typename Options, typename Counts>
class KeptCounts {
 public:
  // Everything the counts depend on. Segments are told apart by where they live, and held weakly: counts of a trace
  // that was closed are dropped at the next look.
  struct Key {
    std::vector<std::weak_ptr<const Segment>> segments;
    std::shared_ptr<const TraceInfo> info;
    std::string filter;
    Options options;
  };
  static Key key_of(const AnalysisInput& input, const Options& options) {
    Key key;
    for (const auto& segment : input.trace.segments) key.segments.emplace_back(segment);
    key.info = input.trace.info;
    key.options = options;
    Hasher hasher;
    hasher.add(std::as_bytes(std::span<const std::uint64_t>(input.filter.mask.bits)));
    hasher.add(std::as_bytes(std::span<const std::uint32_t>(input.filter.filter.rows)));
    key.filter = hasher.hex();
    return key;
  }

  explicit KeptCounts(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  // Null when there are none.
  [[nodiscard]] std::shared_ptr<Counts> find(const Key& key) {
    const std::lock_guard<std::mutex> hold(lock_);
    return find_locked(key);
  }
  // Keeps counts of this size; the least used go first. Counts that alone are too large are not kept.
  void keep(const Key& key, const std::shared_ptr<Counts>& counts, std::size_t bytes) {
    if (bytes > most_bytes_) return;
    const std::lock_guard<std::mutex> hold(lock_);
    keep_locked(key, counts, bytes);
  }
  // find(), or else what `make` gives (with its size), kept: callers at the same time get the same.
  template <typename Make>
  [[nodiscard]] std::shared_ptr<Counts> find_or_keep(const Key& key, Make make) {
    const std::lock_guard<std::mutex> hold(lock_);
    if (auto found = find_locked(key)) return found;
    const std::pair<std::shared_ptr<Counts>, std::size_t> made = make();
    if (made.second <= most_bytes_) keep_locked(key, made.first, made.second);
    return made.first;
  }

 private:
  struct Entry {
    Key key;
    std::shared_ptr<Counts> counts;
    std::size_t bytes;
  };
  static bool same(const Key& a, const Key& b) {
    return a.info == b.info && a.filter == b.filter && a.options == b.options &&
           std::equal(a.segments.begin(), a.segments.end(), b.segments.begin(), b.segments.end(),
                      [](const auto& x, const auto& y) { return x.lock() == y.lock(); });
  }
  std::shared_ptr<Counts> find_locked(const Key& key) {
    entries_.remove_if([](const Entry& entry) {
      return std::any_of(entry.key.segments.begin(), entry.key.segments.end(),
                         [](const auto& segment) { return segment.expired(); });
    });
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return same(e.key, key); });
    if (found == entries_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found);
    return found->counts;
  }
  void keep_locked(const Key& key, const std::shared_ptr<Counts>& counts, std::size_t bytes) {
    entries_.push_front({key, counts, bytes});
    std::size_t sum = 0;
    for (auto it = entries_.begin(); it != entries_.end();) {
      sum += it->bytes;
      it = sum > most_bytes_ ? entries_.erase(it) : std::next(it);
    }
  }
  std::size_t most_bytes_;
  std::mutex lock_;
  std::list<Entry> entries_;  // the last used first
};

}  // namespace moescope
