// The Results that were used lately, by key. Main thread only.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/analysis/result.h"

namespace moescope {

class ResultMemory {
 public:
  explicit ResultMemory(std::size_t capacity) : capacity_(capacity) {}
  // Null when it is not there.
  [[nodiscard]] ResultPtr find(const std::string& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
  }
  void put(const std::string& key, ResultPtr result) {
    if (const auto found = places_.find(key); found != places_.end()) order_.erase(found->second);
    order_.emplace_front(key, std::move(result));
    places_[key] = order_.begin();
    if (order_.size() <= capacity_) return;
    places_.erase(order_.back().first);
    order_.pop_back();
  }

 private:
  using Entry = std::pair<std::string, ResultPtr>;
  std::size_t capacity_;
  std::list<Entry> order_;  // the last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
};

}  // namespace moescope
