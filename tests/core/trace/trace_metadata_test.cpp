// What a trace says about itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "core/trace/trace_builder.h"
#include "tests/core/trace/trace_file_fixture.h"

namespace moescope::trace_metadata_test {
namespace {

using fixtures::TraceFile;
using ::testing::HasSubstr;

TEST_F(TraceFile, MetadataIsChecked) {
  const Part good = ids({0}, 1, 1, 1);
  EXPECT_THAT(problem({good}, R"({"version":2,"rows":[{"experts":4}]})"), HasSubstr("version 2"));
  EXPECT_THAT(problem({good}, R"({"rows":[{"experts":4}]})"), HasSubstr("'version' is missing"));
  EXPECT_THAT(problem({good}, metadata(1, 4, R"(,"requires":["sparse_ids"])")), HasSubstr("'sparse_ids'"));
  EXPECT_TRUE(read({good}, metadata(1, 4, R"(,"requires":["expert_ids","tags.domain"])")));
  EXPECT_THAT(problem({good}, R"({"version":1})"), HasSubstr("'rows'"));
  EXPECT_THAT(problem({good}, R"({"version":1,"rows":[{}]})"), HasSubstr("rows[0].experts"));
  EXPECT_THAT(problem({good}, R"({"version":1,"rows":[{"experts":65536}]})"), HasSubstr("rows[0].experts"));
  EXPECT_THAT(problem({good}, R"({"version":1,"rows":[5]})"), HasSubstr("rows[0]"));
  EXPECT_THAT(problem({good}, metadata(1, 4, R"(,"id_space":"other")")), HasSubstr("id_space"));
  EXPECT_THAT(problem({good}, metadata(1, 4, R"(,"tags":{"domain":"code"})")), HasSubstr("tags.domain"));
  EXPECT_THAT(problem({good}, "{"), HasSubstr("JSON"));
  folder_.write("t.routes.safetensors", fixtures::safetensors_bytes("{}"));
  EXPECT_THAT(read_trace(path_).error().what, HasSubstr("not a trace"));
  EXPECT_FALSE(looks_like_trace(path_));
}

TEST_F(TraceFile, MetadataComesBack) {
  TraceBuilder builder(TraceBuilder::plain_rows(2, 4, 2), 2);
  TraceInfo& info = builder.info();
  info.rows[1] = {.layer = 7,
                  .block = "mtp",
                  .site = "attention",
                  .stream = "s",
                  .experts = 3,
                  .k = 1,
                  .shared = 2,
                  .null_experts = 1,
                  .rule = "r"};
  info.rank_order = false;
  info.expert_choice = true;
  info.weight_kind = "softmax";
  info.compute_type = "float32";
  info.model_family = "olmoe";
  info.config_hash = "abc";
  info.source_tool = "test \xFF";
  info.source_notes = "n";
  info.approximate = "top-1 only";
  builder.token();
  builder.route(0, {1, 0});
  ASSERT_TRUE(write_trace(builder.build("x"), path_));
  const auto trace = read_trace(path_);
  ASSERT_TRUE(trace) << trace.error().text();
  const TraceInfo& back = *trace->info;
  EXPECT_EQ(back.rows[1].layer, 7);
  EXPECT_EQ(back.rows[1].block, "mtp");
  EXPECT_EQ(back.rows[1].site, "attention");
  EXPECT_EQ(back.rows[1].stream, "s");
  EXPECT_EQ(back.rows[1].experts, 3U);
  EXPECT_EQ(back.rows[1].shared, 2U);
  EXPECT_EQ(back.rows[1].null_experts, 1U);
  EXPECT_EQ(back.rows[1].rule, "r");
  EXPECT_FALSE(back.rank_order);
  EXPECT_TRUE(back.expert_choice);
  EXPECT_EQ(back.weight_kind, "softmax");
  EXPECT_EQ(back.model_family, "olmoe");
  EXPECT_EQ(back.config_hash, "abc");
  EXPECT_EQ(back.source_tool, "test \xEF\xBF\xBD");
  EXPECT_EQ(back.approximate, "top-1 only");
  EXPECT_TRUE(looks_like_trace(path_));
}

TEST_F(TraceFile, MetadataThatIsNotUnderstoodIsWrittenAgain) {
  const std::string json =
      R"({"version":1,"rows":[{"experts":4,"temperature":0.5},{"experts":4}],"model":{"name":"m","licence":"free"},)"
      R"("lab":{"room":7},"requires":["expert_ids"]})";
  auto trace = read({ids({0, 1}, 2, 1, 1)}, json);
  ASSERT_TRUE(trace) << trace.error().text();
  TraceInfo info = *trace->info;
  info.model_name = "renamed";
  trace->info = std::make_shared<const TraceInfo>(info);
  const auto copy = folder_.path() / "copy.routes.safetensors";
  ASSERT_TRUE(write_trace(*trace, copy));
  const auto file = read_safetensors(copy);
  ASSERT_TRUE(file) << file.error().text();
  const auto written = nlohmann::json::parse(file->metadata.at("moescope"));
  EXPECT_EQ(written["lab"], nlohmann::json({{"room", 7}}));
  EXPECT_EQ(written["requires"], nlohmann::json({"expert_ids"}));
  EXPECT_EQ(written["model"], nlohmann::json({{"name", "renamed"}, {"licence", "free"}}));
  EXPECT_EQ(written["rows"][0]["temperature"], 0.5);
  EXPECT_FALSE(written["rows"][1].contains("temperature"));
}

}  // namespace
}  // namespace moescope::trace_metadata_test
