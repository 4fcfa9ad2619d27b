#include "core/engine/routers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace moescope::routers_test {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::FloatNear;

constexpr float never = -std::numeric_limits<float>::infinity();

struct Rows {
  std::size_t tokens, experts;
  std::vector<float> logits;
  std::vector<std::int32_t> token_ids, sequences, positions;

  Rows(std::size_t t, std::size_t e, std::vector<float> z) : tokens(t), experts(e), logits(std::move(z)) {
    token_ids.resize(t);
    positions.resize(t);
    sequences.assign(t, 0);
    std::iota(token_ids.begin(), token_ids.end(), 0);
    std::iota(positions.begin(), positions.end(), 0);
  }
  [[nodiscard]] RouterInput input(std::uint32_t layer = 0) const {
    return RouterInput{tokens, experts, logits, token_ids, sequences, positions, layer, {}};
  }
};

Rows probabilities(std::vector<float> p) {
  for (float& x : p) x = std::log(x);
  const std::size_t experts = p.size();
  return Rows(1, experts, std::move(p));
}

Rows random_rows(std::size_t tokens, std::size_t experts) {
  std::mt19937 bits(7);
  std::normal_distribution<float> normal(0.0F, 1.5F);
  std::vector<float> z(tokens * experts);
  for (float& x : z) x = normal(bits);
  return Rows(tokens, experts, std::move(z));
}

std::shared_ptr<const Router> router(const std::string& family, const json& params, std::uint32_t experts,
                                     std::uint32_t k, RouterRule rule = {}) {
  auto made = make_router(family, params, RouterModel{experts, k, rule});
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().text());
  return made.value();
}

std::vector<std::int32_t> chosen(const RouterChoice& choice, std::size_t token = 0) {
  std::vector<std::int32_t> ids;
  for (std::size_t j = 0; j < choice.slots && choice.ids[token * choice.slots + j] >= 0; ++j) {
    ids.push_back(choice.ids[token * choice.slots + j]);
  }
  return ids;
}

std::vector<float> used_weights(const RouterChoice& choice, std::size_t token = 0) {
  const auto first = choice.weights.begin() + static_cast<std::ptrdiff_t>(token * choice.slots);
  return {first, first + static_cast<std::ptrdiff_t>(chosen(choice, token).size())};
}

TEST(Routers, SoftmaxThenTopKKeepsProbabilitiesUnlessRenormalised) {
  const Rows rows = probabilities({0.1F, 0.2F, 0.3F, 0.4F});
  const RouterChoice plain = router("softmax_top_k", json::object(), 4, 2)->choose(rows.input());
  EXPECT_THAT(chosen(plain), ElementsAre(3, 2));
  EXPECT_THAT(used_weights(plain), ElementsAre(FloatNear(0.4F, 1e-6F), FloatNear(0.3F, 1e-6F)));
  const RouterChoice divided = router("softmax_top_k", {{"renormalise", true}}, 4, 2)->choose(rows.input());
  EXPECT_THAT(used_weights(divided), ElementsAre(FloatNear(4.0F / 7, 1e-6F), FloatNear(3.0F / 7, 1e-6F)));
  const RouterChoice after = router("top_k_softmax", json::object(), 4, 2)->choose(rows.input());
  EXPECT_THAT(used_weights(after), ElementsAre(FloatNear(4.0F / 7, 1e-6F), FloatNear(3.0F / 7, 1e-6F)));
}

TEST(Routers, ModelFamilyFollowsTheModelsRule) {
  RouterRule rule;
  rule.score = RouterRule::Score::sigmoid;
  rule.renormalise = true;
  rule.scale = 2.0;
  const Rows rows(1, 3, {0.0F, std::log(3.0F), -std::log(3.0F)});
  const RouterChoice choice = router("model", json::object(), 3, 2, rule)->choose(rows.input());
  EXPECT_THAT(chosen(choice), ElementsAre(1, 0));
  EXPECT_THAT(used_weights(choice), ElementsAre(FloatNear(1.2F, 1e-6F), FloatNear(0.8F, 1e-6F)));
}

TEST(Routers, EqualScoresGoToTheLowestId) {
  const Rows rows(1, 6, std::vector<float>(6, 0.25F));
  for (const char* family : {"softmax_top_k", "top_k_softmax", "sigmoid_top_k"}) {
    EXPECT_THAT(chosen(router(family, json::object(), 6, 3)->choose(rows.input())), ElementsAre(0, 1, 2)) << family;
  }
}

TEST(Routers, TopPKeepsThePrefixThatExceedsP) {
  const Rows rows = probabilities({0.5F, 0.3F, 0.15F, 0.05F});
  const auto at = [&](double p) { return chosen(router("top_p", {{"p", p}}, 4, 2)->choose(rows.input())); };
  EXPECT_THAT(at(0.0), ElementsAre(0));
  EXPECT_THAT(at(0.4), ElementsAre(0));
  EXPECT_THAT(at(0.79), ElementsAre(0, 1));
  EXPECT_THAT(at(0.81), ElementsAre(0, 1, 2));
  EXPECT_THAT(at(1.0), ElementsAre(0, 1, 2, 3));
  // Strictly above: two halves are exact in float32, and the first half does not exceed p = 0.5.
  const Rows halves(1, 2, {0.0F, 0.0F});
  EXPECT_THAT(chosen(router("top_p", {{"p", 0.5}}, 2, 2)->choose(halves.input())), ElementsAre(0, 1));
  const RouterChoice choice = router("top_p", {{"p", 0.79}}, 4, 2)->choose(rows.input());
  EXPECT_THAT(used_weights(choice), ElementsAre(FloatNear(0.5F, 1e-6F), FloatNear(0.3F, 1e-6F)));
}

TEST(Routers, TopPUsesMoreExpertsAsPGrows) {
  const Rows rows = random_rows(200, 12);
  std::size_t before = 0;
  for (const double p : {0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0}) {
    const RouterChoice choice = router("top_p", {{"p", p}}, 12, 2)->choose(rows.input());
    std::size_t used = 0;
    for (std::size_t t = 0; t < 200; ++t) used += chosen(choice, t).size();
    EXPECT_GE(used, before) << p;
    if (p == 0.0) {
      EXPECT_EQ(used, 200U);
    }
    before = used;
  }
  EXPECT_EQ(before, 200U * 12U);
}

TEST(Routers, NullCopiesOfTheGateAtTwiceKEqualPlainTopK) {
  const Rows rows = random_rows(100, 4);
  const auto nulls = router("null_experts", {{"nulls", 4}, {"k", 4}}, 4, 2);
  EXPECT_EQ(nulls->null_experts(), 4U);
  const RouterChoice with = nulls->choose(rows.input());
  const RouterChoice plain = router("softmax_top_k", {{"renormalise", true}}, 4, 2)->choose(rows.input());
  for (std::size_t t = 0; t < 100; ++t) {
    std::vector<std::int32_t> ids;
    std::vector<float> weights;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::int32_t id = with.ids[t * 4 + j];
      if (id < 4) {
        ids.push_back(id);
        weights.push_back(with.weights[t * 4 + j]);
      } else {
        EXPECT_EQ(with.weights[t * 4 + j], 0.0F);
      }
    }
    EXPECT_EQ(ids, chosen(plain, t));
    ASSERT_EQ(weights.size(), 2U);
    EXPECT_NEAR(weights[0], plain.weights[t * 2], 1e-6);
    EXPECT_NEAR(weights[1], plain.weights[t * 2 + 1], 1e-6);
  }
}

TEST(Routers, WithoutNullExpertsNothingChanges) {
  const Rows rows = random_rows(50, 6);
  const RouterChoice none = router("null_experts", {{"nulls", 0}}, 6, 2)->choose(rows.input());
  const RouterChoice plain = router("softmax_top_k", {{"renormalise", true}}, 6, 2)->choose(rows.input());
  EXPECT_EQ(none.ids, plain.ids);
  EXPECT_EQ(none.weights, plain.weights);
}

TEST(Routers, RandomDrawsAreUniformAndReproducible) {
  const Rows rows(100000, 10, std::vector<float>(1000000, 0.0F));
  const auto drawn = router("random", {{"k", 1}, {"seed", 5}}, 10, 2);
  const RouterChoice choice = drawn->choose(rows.input());
  std::vector<double> count(10, 0);
  for (const std::int32_t id : choice.ids) ++count[static_cast<std::size_t>(id)];
  double chi_square = 0;
  for (const double n : count) chi_square += (n - 10000) * (n - 10000) / 10000;
  EXPECT_LT(chi_square, 27.9);  // 99.9 % point with 9 degrees of freedom
  EXPECT_EQ(drawn->choose(rows.input()).ids, choice.ids);
  EXPECT_NE(drawn->choose(rows.input(1)).ids, choice.ids);
  EXPECT_NE(router("random", {{"k", 1}, {"seed", 6}}, 10, 2)->choose(rows.input()).ids, choice.ids);
  EXPECT_EQ(choice.weights.front(), 1.0F);
}

TEST(Routers, RandomBySequenceGivesAllItsTokensTheSameExperts) {
  Rows rows = random_rows(60, 8);
  for (std::size_t t = 0; t < 60; ++t) rows.sequences[t] = static_cast<std::int32_t>(t / 20);
  const RouterChoice choice = router("random", {{"by", "sequence"}}, 8, 2)->choose(rows.input());
  for (std::size_t t = 0; t < 60; ++t) EXPECT_EQ(chosen(choice, t), chosen(choice, t / 20 * 20));
}

TEST(Routers, FrozenRandomGateWithAllExpertsAndEqualLogitsIsTheMean) {
  const Rows rows(3, 5, std::vector<float>(15, 0.0F));
  const RouterChoice choice = router("frozen_random", {{"k", 5}}, 5, 2)->choose(rows.input());
  for (const float weight : choice.weights) EXPECT_NEAR(weight, 0.2F, 1e-6);
  const Rows others = random_rows(40, 5);
  const auto same = router("frozen_random", {{"k", 2}, {"seed", 3}}, 5, 2);
  EXPECT_EQ(same->choose(others.input()).ids, same->choose(others.input()).ids);
}

TEST(Routers, HashDependsOnTheTokenIdAlone) {
  Rows rows = random_rows(30, 8);
  for (std::size_t t = 0; t < 30; ++t) rows.token_ids[t] = static_cast<std::int32_t>(t % 3);
  const RouterChoice choice = router("hash", json::object(), 8, 2)->choose(rows.input());
  for (std::size_t t = 0; t < 30; ++t) EXPECT_EQ(chosen(choice, t), chosen(choice, t % 3));
}

TEST(Routers, ExpertChoiceFillsEveryExpertEquallyInEachSequence) {
  Rows rows = random_rows(48, 6);
  for (std::size_t t = 0; t < 48; ++t) rows.sequences[t] = t < 30 ? 0 : 1;
  const auto made = router("expert_choice", {{"capacity", 1.0}}, 6, 2);
  EXPECT_TRUE(made->by_expert());
  const RouterChoice choice = made->choose(rows.input());
  std::vector<int> first(6, 0), second(6, 0);
  for (std::size_t t = 0; t < 48; ++t) {
    for (const std::int32_t e : chosen(choice, t)) ++(t < 30 ? first : second)[static_cast<std::size_t>(e)];
  }
  EXPECT_THAT(first, ::testing::Each(10));
  EXPECT_THAT(second, ::testing::Each(6));
}

TEST(Routers, MaskedExpertsAreNeverChosenAndForcedOnesComeFirst) {
  Rows rows = random_rows(50, 6);
  for (std::size_t t = 0; t < 50; ++t) rows.logits[t * 6 + 2] = never;
  const std::vector<std::uint32_t> force{5, 1};
  RouterInput input = rows.input();
  input.force = force;
  for (const RouterFamily& family : router_families()) {
    const RouterChoice choice = router(family.name, json::object(), 6, 3)->choose(input);
    for (std::size_t t = 0; t < 50; ++t) {
      const std::vector<std::int32_t> ids = chosen(choice, t);
      EXPECT_THAT(ids, ::testing::Not(::testing::Contains(2))) << family.name;
      EXPECT_THAT(ids, ::testing::IsSupersetOf({5, 1})) << family.name;
      if (family.name != "expert_choice") {
        EXPECT_EQ(ids[0], 5) << family.name;
        EXPECT_EQ(ids[1], 1) << family.name;
      }
    }
  }
}

TEST(Routers, TooManyMaskedExpertsLeaveSlotsUnfilled) {
  const Rows rows(1, 4, {never, 0.3F, never, never});
  const RouterChoice choice = router("softmax_top_k", json::object(), 4, 2)->choose(rows.input());
  EXPECT_THAT(chosen(choice), ElementsAre(1));
  EXPECT_THAT(choice.ids, ElementsAre(1, -1));
  EXPECT_THAT(choice.weights, ElementsAre(FloatNear(1.0F, 1e-6F), 0.0F));
}

TEST(Routers, BadParametersAreNamed) {
  const RouterModel model{8, 2, {}};
  EXPECT_FALSE(make_router("nonsense", json::object(), model).has_value());
  for (const auto& [family, params] : std::vector<std::pair<std::string, json>>{{"softmax_top_k", {{"k", 9}}},
                                                                                {"softmax_top_k", {{"k", 1.5}}},
                                                                                {"top_p", {{"p", 2}}},
                                                                                {"top_p", {{"q", 0.5}}},
                                                                                {"random", {{"by", "moon"}}},
                                                                                {"hash", json::array({1})}}) {
    const auto made = make_router(family, params, model);
    ASSERT_FALSE(made.has_value()) << family << params;
    EXPECT_EQ(made.error().kind, ErrorKind::usage);
    EXPECT_FALSE(made.error().what.empty());
  }
}

}  // namespace
}  // namespace moescope::routers_test
