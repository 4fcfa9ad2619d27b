#include "core/analysis/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace moescope::result_test {
namespace {

Result rich_result() {
  Result r;
  r.title = "A, \"quoted\" title";
  r.provenance = {"expert_load",           2, {{"row", 1}}, "t", "hash", "domain == \"a\"", 12, "float32",
                  "moescope-cli analyze t"};
  r.caveats = {"One.", "Two, with a comma."};
  Matrix m{"share", "Share", "fraction", "layer", "expert", {"L0", "L1"}, {"E00"}, {0.1, NAN}};
  m.n = {3, 4};
  m.low = {0.05, NAN};
  m.high = {0.2, NAN};
  m.absence = {Absence::present, Absence::too_few};
  m.formula = "n / sum n";
  r.matrices = {m};
  Series s{"strength", "Strength", "layer", "strength"};
  s.role = Series::Role::null_band;
  s.x = {0, 1};
  s.y = {0.5, 1.0 / 3};
  s.low = {0.4, NAN};
  s.high = {0.6, NAN};
  s.n = {10, 20};
  s.x_names = {"L0", "L1"};
  r.series = {s};
  r.scalars = {{"floor", "Floor", "", "k/E", {0.25, NAN, NAN, 7}}};
  r.tables = {{"t", "T", {{"a", "", 3}, {"b", "nats", 1}}, {{std::string("x,y"), 1.5}, {std::int64_t{3}, {}}}}};
  r.graphs = {{"g", "G", "p", {{{0, 1}, 0.5}}, {{{{0, 1}, {1, 2}}, 0.25, 9}}}};
  return r;
}

TEST(ResultJson, ComesBackWhole) {
  const auto json = result_to_json(rich_result());
  const auto back = result_from_json(nlohmann::json::parse(json.dump()));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(result_to_json(*back), json);
  EXPECT_TRUE(std::isnan(back->matrix("share")->values[1]));
  EXPECT_EQ(back->matrix("share")->absence[1], Absence::too_few);
  EXPECT_EQ(back->find_series("strength")->role, Series::Role::null_band);
  EXPECT_EQ(back->find_series("strength")->y[1], 1.0 / 3);
  EXPECT_EQ(std::get<std::int64_t>(back->table("t")->rows[1][0]), 3);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(back->table("t")->rows[1][1]));
  EXPECT_EQ(back->graph("g")->links[0].link.to, (ExpertRef{1, 2}));
  EXPECT_EQ(back->provenance.tokens, 12U);
  EXPECT_EQ(back->scalar("floor")->estimate.value, 0.25);
}

TEST(ResultJson, AbsentIsNull) {
  const auto json = result_to_json(rich_result());
  EXPECT_TRUE(json["matrices"][0]["values"][1].is_null());
}

TEST(ResultJson, WhatIsNotAResultIsRefused) {
  EXPECT_FALSE(result_from_json(nlohmann::json::parse("[]")));
  EXPECT_FALSE(result_from_json(nlohmann::json::parse("{\"format\": 3}")));
  auto wrong_size = result_to_json(rich_result());
  wrong_size["matrices"][0]["values"].push_back(1);
  EXPECT_FALSE(result_from_json(wrong_size));
  auto wrong_word = result_to_json(rich_result());
  wrong_word["series"][0]["role"] = "none";
  EXPECT_FALSE(result_from_json(wrong_word));
  auto wrong_type = result_to_json(rich_result());
  wrong_type["tables"][0]["rows"][0][0] = nlohmann::json::array();
  EXPECT_FALSE(result_from_json(wrong_type));
  auto missing = result_to_json(rich_result());
  missing.erase("graphs");
  EXPECT_FALSE(result_from_json(missing));
  auto newer = result_to_json(rich_result());
  newer["format_version"] = 99;
  EXPECT_FALSE(result_from_json(newer));
}

TEST(ResultCsv, EveryPartHasAHeaderWithUnitAndN) {
  const std::string csv = result_to_csv(rich_result());
  EXPECT_THAT(csv, testing::HasSubstr("# matrix share; Share; unit: fraction; n: per cell; formula: n / sum n\n"));
  EXPECT_THAT(csv, testing::HasSubstr("L0,E00,0.1,3,0.05,0.2,\n"));
  EXPECT_THAT(csv, testing::HasSubstr("L1,E00,,4,,,too few\n"));
  EXPECT_THAT(csv, testing::HasSubstr("# series strength; Strength (null)"));
  EXPECT_THAT(csv, testing::HasSubstr("\"x,y\",1.5\n"));
  EXPECT_THAT(csv, testing::HasSubstr("b [nats]"));
  EXPECT_THAT(csv, testing::HasSubstr("0,1,1,2,0.25,9\n"));
  EXPECT_THAT(csv, testing::HasSubstr("floor,Floor,,0.25,,,7,k/E\n"));
  EXPECT_THAT(csv, testing::HasSubstr("caveat,\"Two, with a comma.\"\n"));
}

TEST(Result, PartsAreFoundByName) {
  const Result r = rich_result();
  EXPECT_NE(r.matrix("share"), nullptr);
  EXPECT_EQ(r.matrix("lift"), nullptr);
  EXPECT_NE(r.graph("g"), nullptr);
}

}  // namespace
}  // namespace moescope::result_test
