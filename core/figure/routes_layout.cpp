#include "core/figure/routes_layout.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace moescope {
namespace {

struct Pull {
  double x = 0, y = 0;
  [[nodiscard]] double strength() const { return std::hypot(x, y); }
};

// Mean direction from which each expert of the next floor is reached.
std::vector<Pull> pulls(std::span<const std::size_t> places, std::size_t next_count, std::span<const FloorLink> links) {
  std::vector<Pull> pull(next_count);
  for (const FloorLink& link : links) {
    const double angle =
        2 * std::numbers::pi * static_cast<double>(places[link.from]) / static_cast<double>(places.size());
    pull[link.to].x += link.weight * std::cos(angle);
    pull[link.to].y += link.weight * std::sin(angle);
  }
  return pull;
}

// Strongly pulled experts choose first the free place nearest to their direction; the others take what is left.
std::vector<std::size_t> choose_places(const std::vector<Pull>& pull) {
  const std::size_t count = pull.size();
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return pull[a].strength() > pull[b].strength(); });
  std::vector<bool> taken(count, false);
  std::vector<std::size_t> places(count, 0);
  for (const std::size_t expert : order) {
    double turn = std::atan2(pull[expert].y, pull[expert].x) / (2 * std::numbers::pi);
    if (turn < 0) turn += 1;
    const auto wanted = static_cast<std::size_t>(std::llround(turn * static_cast<double>(count))) % count;
    for (std::size_t step = 0; step < count; ++step) {
      const std::size_t ahead = (wanted + step) % count;
      const std::size_t behind = (wanted + count - step % count) % count;
      const std::size_t place = !taken[ahead] ? ahead : behind;
      if (taken[place]) continue;
      taken[place] = true;
      places[expert] = place;
      break;
    }
  }
  return places;
}

}  // namespace

std::vector<std::vector<std::size_t>> circular_order(std::span<const std::size_t> counts,
                                                     std::span<const std::vector<FloorLink>> links) {
  std::vector<std::vector<std::size_t>> order;
  for (std::size_t floor = 0; floor < counts.size(); ++floor) {
    if (floor == 0) {
      std::vector<std::size_t> first(counts[0]);
      std::iota(first.begin(), first.end(), std::size_t{0});
      order.push_back(std::move(first));
    } else {
      order.push_back(choose_places(pulls(order.back(), counts[floor], links[floor - 1])));
    }
  }
  return order;
}

}  // namespace moescope
