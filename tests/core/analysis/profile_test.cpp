#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

}  // namespace
}  // namespace moescope::profile_test
