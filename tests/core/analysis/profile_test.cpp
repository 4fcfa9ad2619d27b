#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/analysis/kernels/simd.h"
#include "tests/core/analysis/planted.h"

namespace moescope::profile_test {
namespace {

using planted::Plan;

// Three domains by sequence; row 0 ignores them, row 1 sends domain d to experts 2d and 2d + 1.
Plan domains(std::size_t tokens, std::size_t length) {
  Plan plan = planted::uniform_plan(2, 6, 1, tokens, 5);
  plan.sequences = planted::sequences_of(tokens, length);
  plan.tag_names["domain"] = {"prose", "code", "json"};
  std::mt19937_64 random(8);
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::int32_t domain = plan.sequences[t] % 3;
    plan.tags["domain"].push_back(domain);
    plan.routes[1][t] = {static_cast<std::uint32_t>(domain * 2 + static_cast<std::int32_t>(random() % 2))};
  }
  return plan;
}

TEST(DomainProfile, PlantedDomainsAreFoundAndTheOtherRowIsInItsNull) {
  const Result result = planted::run("domain_profile", planted::make_trace(domains(6000, 50)), {{"row", 1}});
  const Series& information = *result.find_series("information");
  const Series& null = *result.find_series("information_null");
  EXPECT_NEAR(information.y[1], std::log(3.0), 1e-3);
  EXPECT_GT(information.y[1], null.high[1] * 10);
  EXPECT_LE(information.y[0], null.high[0] * 1.5);
  const Matrix& share = *result.matrix("share");
  const Matrix& lift = *result.matrix("lift");
  EXPECT_EQ(share.column_names, (std::vector<std::string>{"prose", "code", "json"}));
  EXPECT_NEAR(share.at(2, 1), 0.5, 0.05);
  EXPECT_EQ(share.at(2, 0), 0);
  EXPECT_NEAR(lift.at(2, 1), 3, 1e-9);
  EXPECT_NEAR(share.n[2 * 3 + 1], 1000, 100);
  EXPECT_LE(share.low[2 * 3 + 1], share.at(2, 1));
  EXPECT_GE(share.high[2 * 3 + 1], share.at(2, 1));
  for (std::size_t v = 0; v < 3; ++v) {
    double sum = 0;
    for (std::size_t e = 0; e < 6; ++e) sum += share.at(e, v);
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(DomainProfile, ShuffledTagsLieInTheNull) {
  int inside = 0, points = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Plan plan = domains(6000, 50);
    std::mt19937_64 random(seed);
    std::vector<std::int32_t> tag(120);
    for (auto& code : tag) code = static_cast<std::int32_t>(random() % 3);
    for (std::size_t t = 0; t < 6000; ++t) plan.tags["domain"][t] = tag[t / 50];
    const Result result = planted::run("domain_profile", planted::make_trace(plan));
    for (std::size_t r = 0; r < 2; ++r, ++points) {
      inside += result.find_series("information")->y[r] <= result.find_series("information_null")->high[r] ? 1 : 0;
    }
  }
  EXPECT_GE(inside, points - 1);
}

TEST(DomainProfile, TagsPerTokenAreShuffledByTokenAndSaySo) {
  Plan plan = domains(3000, 50);
  for (std::size_t t = 0; t < 3000; ++t) plan.tags["domain"][t] = static_cast<std::int32_t>(plan.routes[1][t][0] / 2);
  for (std::size_t t = 0; t < 3000; t += 2) plan.tags["domain"][t] = static_cast<std::int32_t>(t / 2 % 3);
  const Result result = planted::run("domain_profile", planted::make_trace(plan), {{"row", 1}});
  EXPECT_GT(result.find_series("information")->y[1], result.find_series("information_null")->high[1]);
  EXPECT_LE(result.find_series("information")->y[0], result.find_series("information_null")->high[0] * 1.5);
  EXPECT_THAT(result.caveats, testing::Contains(testing::HasSubstr("between tokens")));
}

TEST(DomainProfile, UntaggedTokensDoNotCountAndUnknownTagsListTheKnown) {
  Plan plan = domains(300, 50);
  for (std::size_t t = 0; t < 150; ++t) plan.tags["domain"][t] = t % 2 == 0 ? -1 : 77;
  const Trace trace = planted::make_trace(plan);
  const Result result = planted::run("domain_profile", trace);
  EXPECT_EQ(result.find_series("information")->n[0], 150);
  const auto unknown = run_analysis("domain_profile", trace, {}, {{"tag", "language"}});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().advice, testing::HasSubstr("domain"));
}

TEST(ExpertTokens, ARouterOfTokenIdsGivesEachExpertItsOwn) {
  Plan plan = planted::uniform_plan(1, 4, 1, 400, 1);
  for (std::size_t t = 0; t < 400; ++t) {
    plan.token_ids.push_back(static_cast<std::int32_t>(t % 10));
    plan.routes[0][t] = {static_cast<std::uint32_t>(t % 10 % 4)};
  }
  plan.used.assign(1, std::vector<std::uint8_t>(400, 1));
  plan.used[0][3] = used_code::dropped;
  Trace trace = planted::make_trace(plan);
  trace.vocabulary[3] = std::string("\n\xC3", 2);
  const Result result = planted::run("expert_tokens", trace, {{"row", 0}, {"expert", 3}});
  const auto& rows = result.table("tokens")->rows;
  ASSERT_EQ(rows.size(), 2U);  // ids 3 and 7
  EXPECT_EQ(std::get<std::int64_t>(rows[0][1]), 7);
  EXPECT_EQ(std::get<std::string>(rows[0][0]), "#7");
  EXPECT_EQ(std::get<std::string>(rows[1][0]), "\\n\xEF\xBF\xBD");
  EXPECT_EQ(std::get<std::int64_t>(rows[1][2]), 39);
  EXPECT_DOUBLE_EQ(std::get<double>(rows[0][3]), 40.0 / 79);
  EXPECT_DOUBLE_EQ(std::get<double>(rows[0][5]), 1);
  EXPECT_NO_THROW((void)result_to_json(result).dump());
  EXPECT_FALSE(run_analysis("expert_tokens", trace, {}, {{"expert", 4}}));
  EXPECT_EQ(planted::run("expert_tokens", trace, {{"expert", 3}, {"top", 1}}).table("tokens")->rows.size(), 1U);
}

TEST(TokenLoss, MeanPerplexityPositionsAndTags) {
  Plan plan = domains(600, 100);
  for (std::size_t t = 0; t < 600; ++t) {
    plan.positions.push_back(static_cast<std::int32_t>(t % 100));
    plan.losses.push_back(t % 100 < 50 ? 1.0F : 3.0F);
  }
  plan.losses[99] = std::numeric_limits<float>::quiet_NaN();
  plan.segments = 3;
  const Result result = planted::run("token_loss", planted::make_trace(plan));
  const Scalar& mean = *result.scalar("mean");
  EXPECT_NEAR(mean.estimate.value, (300 * 1.0 + 299 * 3.0) / 599, 1e-12);
  EXPECT_EQ(mean.estimate.n, 599);
  EXPECT_LE(mean.estimate.low, mean.estimate.value);
  EXPECT_GE(mean.estimate.high, mean.estimate.value);
  EXPECT_NEAR(result.scalar("perplexity")->estimate.value, std::exp(mean.estimate.value), 1e-12);
  const Series& by_position = *result.find_series("loss");
  ASSERT_EQ(by_position.y.size(), 100U);
  EXPECT_EQ(by_position.y[10], 1);
  EXPECT_EQ(by_position.y[60], 3);
  EXPECT_EQ(by_position.n[99], 5);
  const auto& tags = result.table("by_tag")->rows;
  ASSERT_EQ(tags.size(), 3U);
  EXPECT_EQ(std::get<std::string>(tags[0][1]), "code");
  EXPECT_DOUBLE_EQ(std::get<double>(tags[0][3]), 2);
}

TEST(TokenLoss, LongSequencesAreBinnedAndMissingLossIsNamed) {
  Plan plan = planted::uniform_plan(1, 4, 1, 1000, 1);
  const auto missing = run_analysis("token_loss", planted::make_trace(plan), {}, nullptr);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().what, testing::HasSubstr("loss"));
  plan.losses.assign(1000, 1.0F);
  for (std::int32_t t = 0; t < 1000; ++t) plan.positions.push_back(t);
  const Result result = planted::run("token_loss", planted::make_trace(plan));
  EXPECT_EQ(result.find_series("loss")->y.size(), 250U);
  EXPECT_EQ(result.find_series("loss")->n[0], 4);
}

TEST(RouteGraph, SharesOfNodesAndLinksMatchBruteForce) {
  const Plan plan = domains(3000, 50);
  const Result result = planted::run("route_graph", planted::make_trace(plan), {{"threshold", 0}});
  const Graph& routes = *result.graph("routes");
  ASSERT_EQ(routes.nodes.size(), 12U);
  std::vector<double> load(12, 0), links(36, 0);
  for (std::size_t t = 0; t < 3000; ++t) {
    ++load[plan.routes[0][t][0]];
    ++load[6 + plan.routes[1][t][0]];
    ++links[plan.routes[0][t][0] * 6 + plan.routes[1][t][0]];
  }
  for (const auto& node : routes.nodes) {
    EXPECT_DOUBLE_EQ(node.value, load[node.expert.row * 6 + node.expert.expert] / 3000);
  }
  double sum = 0;
  for (const auto& link : routes.links) {
    const double n = links[link.link.from.expert * 6 + link.link.to.expert];
    EXPECT_EQ(link.n, n);
    EXPECT_DOUBLE_EQ(link.value, n / 3000);
    sum += link.value;
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  const Matrix& tags = *result.matrix("tag_share");
  EXPECT_EQ(tags.rows(), 12U);
  EXPECT_DOUBLE_EQ(tags.at(6 + 2, 1), 1);
  const Matrix& entropy = *result.matrix("node_entropy");
  EXPECT_GT(entropy.at(0, 0), 0.9);
  EXPECT_TRUE(std::isnan(entropy.at(6, 0)));
}

TEST(RouteGraph, ThresholdLimitAndRangeKeepWhatTheySay) {
  const Trace trace = planted::make_trace(planted::uniform_plan(4, 6, 2, 3000, 2));
  EXPECT_TRUE(planted::run("route_graph", trace, {{"threshold", 0.5}}).graph("routes")->links.empty());
  const Result few = planted::run("route_graph", trace, {{"threshold", 0}, {"max_links", 5}, {"ranks", 0}});
  EXPECT_EQ(few.graph("routes")->links.size(), 15U);
  const Result range = planted::run("route_graph", trace, {{"first_row", 1}, {"last_row", 2}});
  EXPECT_EQ(range.graph("routes")->nodes.size(), 12U);
  for (const auto& link : range.graph("routes")->links) EXPECT_EQ(link.link.from.row, 1U);
  EXPECT_FALSE(run_analysis("route_graph", trace, {}, {{"first_row", 2}, {"last_row", 1}}));
  EXPECT_FALSE(run_analysis("route_graph", trace, {}, {{"last_row", 4}}));
  EXPECT_EQ(range.matrix("tag_share"), nullptr);
}

// Every count of the analyses that this file tests against the plain loop, on each instruction set.
class ProfileCountsTest : public testing::TestWithParam<const kernels::KernelSet*> {
 protected:
  void SetUp() override { ASSERT_TRUE(kernels::use_kernels(GetParam()->name)); }
  void TearDown() override { (void)kernels::use_kernels(kernels::runnable_kernels().front()->name); }
};
INSTANTIATE_TEST_SUITE_P(Sets, ProfileCountsTest, testing::ValuesIn(kernels::runnable_kernels()),
                         [](const auto& set) { return std::string(set.param->name); });

// Two rows of 20 and 30 experts, top-3, three domains by sequence, untagged tokens, unfilled slots, two segments.
Plan rough_domains(std::size_t tokens) {
  Plan plan = domains(tokens, 50);
  std::mt19937_64 random(4);
  plan.experts = {20, 30};
  for (std::size_t r = 0; r < 2; ++r) {
    auto& used = plan.used.emplace_back();
    for (std::size_t t = 0; t < tokens; ++t) {
      auto& route = plan.routes[r][t];
      route.clear();
      while (route.size() < 3) {
        const auto e = static_cast<std::uint32_t>(random() % (10 * (r + 2)));
        if (std::find(route.begin(), route.end(), e) == route.end()) route.push_back(e);
      }
      if (random() % 10 == 0) route.resize(random() % 3);
      used.push_back(static_cast<std::uint8_t>(route.size()));
    }
  }
  for (std::size_t t = 0; t < tokens; ++t) {
    plan.token_ids.push_back(static_cast<std::int32_t>(random() % 400) - 7);
    if (t % 11 == 0) plan.tags["domain"][t] = -1;
  }
  plan.segments = 2;
  return plan;
}

TEST_P(ProfileCountsTest, DomainsTokensAndRoutesEqualThePlainLoopToTheLastCount) {
  const std::size_t tokens = 9000;
  const Plan plan = rough_domains(tokens);
  const Trace trace = planted::make_trace(plan);
  for (const bool filtered : {false, true}) {
    const auto keep = [&](std::size_t t) { return !filtered || t % 3 != 1; };
    const AppliedFilter filter = filtered ? planted::keep_tokens(tokens, keep) : planted::no_filter();
    std::vector<double> by_domain(30 * 3), uses(50), tagged(50 * 3);
    std::map<std::int32_t, std::pair<int, int>> ids;  // uses of row 1's expert 4, tokens with an expert
    std::vector<std::vector<double>> pairs(3, std::vector<double>(20 * 30));  // leading ranks: all, 1, 2
    std::vector<double> joined(3);
    for (std::size_t t = 0; t < tokens; ++t) {
      if (!keep(t)) continue;
      const auto &a = plan.routes[0][t], &b = plan.routes[1][t];
      const std::int32_t domain = plan.tags.at("domain")[t];
      for (std::size_t r = 0; r < 2; ++r) {
        for (const std::uint32_t e : plan.routes[r][t]) {
          ++uses[r * 20 + e];
          if (domain >= 0) ++tagged[(r * 20 + e) * 3 + static_cast<std::size_t>(domain)];
          if (domain >= 0 && r == 1) ++by_domain[e * 3 + static_cast<std::size_t>(domain)];
        }
      }
      if (!b.empty()) {
        auto& [holding, any] = ids[plan.token_ids[t]];
        ++any;
        holding += std::find(b.begin(), b.end(), 4U) != b.end() ? 1 : 0;
      }
      for (std::size_t ranks = 0; ranks < 3; ++ranks) {
        const std::size_t most = ranks == 0 ? 3 : ranks;
        if (!a.empty() && !b.empty()) ++joined[ranks];
        for (std::size_t i = 0; i < std::min(most, a.size()); ++i) {
          for (std::size_t j = 0; j < std::min(most, b.size()); ++j) ++pairs[ranks][a[i] * 30 + b[j]];
        }
      }
    }
    const Result profile = planted::run("domain_profile", trace, {{"row", 1}}, filter);
    EXPECT_EQ(profile.matrix("share")->n, by_domain);

    const Result of_expert = planted::run("expert_tokens", trace, {{"row", 1}, {"expert", 4}, {"top", 1000}}, filter);
    std::size_t used_ids = 0;
    for (const auto& [id, counts] : ids) used_ids += counts.first > 0 ? 1 : 0;
    const auto& rows = of_expert.table("tokens")->rows;
    EXPECT_EQ(rows.size(), used_ids);
    for (const auto& row : rows) {
      const auto& counts = ids.at(static_cast<std::int32_t>(std::get<std::int64_t>(row[1])));
      EXPECT_EQ(std::get<std::int64_t>(row[2]), counts.first);
      EXPECT_EQ(std::get<std::int64_t>(row[4]), counts.second);
    }

    for (std::size_t ranks = 0; ranks < 3; ++ranks) {
      const Result routes = planted::run("route_graph", trace, {{"threshold", 0}, {"ranks", ranks}}, filter);
      const auto& nodes = routes.graph("routes")->nodes;
      ASSERT_EQ(nodes.size(), 50U);
      EXPECT_EQ(routes.matrix("node_entropy")->n, uses);
      for (std::size_t node = 0; node < 50; ++node) {
        const double all = tagged[node * 3] + tagged[node * 3 + 1] + tagged[node * 3 + 2];
        EXPECT_EQ(routes.matrix("tag_share")->n[node], all);
        for (std::size_t v = 0; v < 3; ++v) {
          EXPECT_DOUBLE_EQ(routes.matrix("tag_share")->at(node, v), tagged[node * 3 + v] / all);
        }
      }
      std::size_t links = 0;
      for (const double n : pairs[ranks]) links += n > 0 ? 1 : 0;
      EXPECT_EQ(routes.graph("routes")->links.size(), std::min<std::size_t>(links, 400));
      for (const auto& link : routes.graph("routes")->links) {
        EXPECT_EQ(link.n, pairs[ranks][link.link.from.expert * 30 + link.link.to.expert]) << "ranks " << ranks;
        EXPECT_DOUBLE_EQ(link.value, link.n / joined[ranks]);
      }
    }
  }
}

}  // namespace
}  // namespace moescope::profile_test
