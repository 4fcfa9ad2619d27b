#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/figure/routes_layout.h"
#include "core/figure/scene.h"

namespace moescope::routes_scene_test {
namespace {

// Three rows of four experts; expert e leads to expert (e + 1) % 4 with most of its tokens.
Result shifted_routes() {
  Result result;
  Graph graph;
  graph.name = "routes";
  Matrix tags;
  tags.name = "tag_share";
  tags.column_names = {"prose", "code"};
  for (std::uint32_t row = 0; row < 3; ++row) {
    for (std::uint32_t expert = 0; expert < 4; ++expert) {
      graph.nodes.push_back({{row, expert}, expert == 0 ? 0.55 : 0.15});
      tags.row_names.emplace_back("node");
      tags.values.insert(tags.values.end(), {expert == 0 ? 1.0 : 0.5, expert == 0 ? 0.0 : 0.5});
      if (row == 2) continue;
      graph.links.push_back({{{row, expert}, {row + 1, (expert + 1) % 4}}, 0.2, 200});
      graph.links.push_back({{{row, expert}, {row + 1, expert}}, 0.05, 50});
    }
  }
  result.graphs.push_back(std::move(graph));
  result.matrices.push_back(std::move(tags));
  result.provenance.tokens = 1000;
  return result;
}

std::vector<RouterRow> three_rows() {
  std::vector<RouterRow> rows(3);
  for (int i = 0; i < 3; ++i) {
    rows[static_cast<std::size_t>(i)].layer = i + 1;
    rows[static_cast<std::size_t>(i)].experts = 4;
  }
  return rows;
}

TEST(RoutesScene, DrawsOnlyLinksAboveTheThresholdAndSaysHowManyItLeftOut) {
  RoutesOptions options;
  options.threshold = 0.1;
  const Scene scene = routes_scene(shifted_routes(), three_rows(), options, {}, nullptr);
  EXPECT_EQ(scene.floors.size(), 3U);
  EXPECT_EQ(scene.nodes.size(), 12U);
  EXPECT_EQ(scene.tubes.size(), 8U);
  EXPECT_EQ(scene.links_total, 16U);
  EXPECT_NEAR(scene.share_drawn, 0.8, 1e-12);
  EXPECT_NE(scene.summary.find("8 of 16 links"), std::string::npos) << scene.summary;
}

TEST(RoutesScene, AreaOfANodeFollowsItsLoad) {
  const Scene scene = routes_scene(shifted_routes(), three_rows(), {}, {}, nullptr);
  const double heavy = scene.nodes[0].radius, light = scene.nodes[1].radius;
  EXPECT_NEAR(heavy * heavy / (light * light), 0.55 / 0.15, 0.05);
}

TEST(RoutesScene, EvenTagsFadeToGreyAndOneTagKeepsItsColour) {
  const Scene scene = routes_scene(shifted_routes(), three_rows(), {}, {}, nullptr);
  EXPECT_DOUBLE_EQ(scene.nodes[0].paint.purity, 1.0);
  EXPECT_DOUBLE_EQ(scene.nodes[1].paint.purity, 0.0);
}

TEST(RoutesScene, LabelsUseTheAbsoluteLayer) {
  const Scene scene = routes_scene(shifted_routes(), three_rows(), {}, {}, nullptr);
  EXPECT_EQ(scene.floors[0].label, "L1");
  EXPECT_EQ(scene.nodes[0].tooltip.substr(0, scene.nodes[0].tooltip.find('\n')), "L1·E00");
}

TEST(RoutesScene, SelectionMarksNodeTubesAndFloor) {
  Selection selection;
  selection.experts = {{1, 2}};
  const Scene scene = routes_scene(shifted_routes(), three_rows(), {}, selection, nullptr);
  for (const SceneNode& node : scene.nodes) EXPECT_EQ(node.selected, node.expert == (ExpertRef{1, 2}));
  for (const SceneTube& tube : scene.tubes) {
    EXPECT_EQ(tube.selected, tube.link.from == (ExpertRef{1, 2}) || tube.link.to == (ExpertRef{1, 2}));
  }
  EXPECT_FALSE(scene.floors[0].selected);
  EXPECT_TRUE(scene.floors[1].selected);
}

TEST(RoutesScene, FollowedTokenPassesThroughItsExperts) {
  TokenRoute route;
  route.steps = {{0, {0, 1}, {0.7, 0.3}}, {1, {1, 0}, {0.6, 0.4}}, {2, {2}, {}}};
  RoutesOptions options;
  options.second_rank = true;
  const Scene scene = routes_scene(shifted_routes(), three_rows(), options, {}, &route);
  ASSERT_EQ(scene.routes.size(), 2U);
  const auto at = [&](std::uint32_t row, std::uint32_t expert) {
    for (const SceneNode& node : scene.nodes) {
      if (node.expert == ExpertRef{row, expert}) return node.position;
    }
    return Vec3{};
  };
  const auto same = [](const Vec3& a, const Vec3& b) { return std::hypot(a.x - b.x, a.y - b.y, a.z - b.z) < 1e-12; };
  EXPECT_TRUE(same(scene.routes[0].path.front(), at(0, 0)));
  EXPECT_TRUE(same(scene.routes[0].path.back(), at(2, 2)));
  ASSERT_EQ(scene.labels.size(), 3U);
  EXPECT_EQ(scene.labels[0].text, "E00 0.70");
  EXPECT_EQ(scene.labels[2].text, "E02") << "a weight that was not recorded is not shown as zero";
}

TEST(RoutesScene, FollowingAnotherTokenChangesOnlyItsRoute) {
  TokenRoute first, second;
  for (std::uint32_t row = 0; row < 3; ++row) {
    first.steps.push_back({row, {0, 1}, {0.75, 0.25}});
    second.steps.push_back({row, {(row + 1) % 4, 3}, {}});
  }
  Scene played = routes_scene(shifted_routes(), three_rows(), {}, {}, &first);
  const Scene whole = routes_scene(shifted_routes(), three_rows(), {}, {}, &second);
  set_route(played, &second, false);
  ASSERT_EQ(played.routes.size(), 1U);
  ASSERT_EQ(played.routes[0].path.size(), whole.routes[0].path.size());
  for (std::size_t i = 0; i < whole.routes[0].path.size(); ++i)
    EXPECT_EQ(played.routes[0].path[i].x, whole.routes[0].path[i].x);
  ASSERT_EQ(played.labels.size(), 3U);
  EXPECT_EQ(played.labels[1].text, whole.labels[1].text);
  EXPECT_EQ(played.tubes.size(), whole.tubes.size());
  set_route(played, nullptr, false);
  EXPECT_TRUE(played.routes.empty());
  EXPECT_TRUE(played.labels.empty());
}

TEST(RoutesScene, StaysWithinTheTubesThatASoftwareRendererDraws) {
  RoutesOptions options;
  options.threshold = 0;
  options.most_tubes = 5;
  const Scene scene = routes_scene(shifted_routes(), three_rows(), options, {}, nullptr);
  EXPECT_EQ(scene.tubes.size(), 5U);
  EXPECT_GE(scene.link_shares.front(), scene.link_shares.back());
}

TEST(RoutesScene, WithoutRoutesIsEmptyAndSaysSo) {
  const Scene scene = routes_scene(Result{}, three_rows(), {}, {}, nullptr);
  EXPECT_TRUE(scene.nodes.empty());
  EXPECT_FALSE(scene.summary.empty());
}

TEST(CircularOrder, IsAPermutationAndFollowsPlantedLinks) {
  const std::vector<std::size_t> counts = {8, 8};
  // Expert i of the first floor leads to expert (i + 3) % 8 only: each should stand right above its source.
  std::vector<std::vector<FloorLink>> links(1);
  for (std::size_t i = 0; i < 8; ++i) links[0].push_back({i, (i + 3) % 8, 1.0});
  const auto order = circular_order(counts, links);
  ASSERT_EQ(order.size(), 2U);
  EXPECT_EQ(std::set<std::size_t>(order[1].begin(), order[1].end()).size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(order[1][(i + 3) % 8], order[0][i]);
}

}  // namespace
}  // namespace moescope::routes_scene_test
