// Formats that are text: JSON lines, CSV, tables of counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>

#include "tests/core/import/import_fixture.h"

namespace moescope::text_formats_test {
namespace {

using fixtures::counts_at;
using fixtures::ids_at;
using fixtures::ImportFolder;
using fixtures::notes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(JsonLines, RoutesWeightsAndFactsByTheirKeys) {
  const ImportFolder folder;
  const Trace trace = folder.import(
      "x.dat",
      "{\"layer_idx\":0,\"token_idx\":0,\"selected_ids\":[5,2],\"gate_weights\":[0.7,0.3],\"token_id\":9}\n"
      "{\"layer_idx\":1,\"token_idx\":0,\"selected_ids\":[1,0]}\n"
      "{\"layer_idx\":0,\"token_idx\":1,\"selected_ids\":[3,4],\"phase\":\"decode\"}\n");
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(5, 2));
  EXPECT_THAT(ids_at(trace, 1, 0), ElementsAre(1, 0));
  EXPECT_THAT(ids_at(trace, 1, 1), ElementsAre());
  EXPECT_THAT(fixtures::weights_at(trace, 0, 0), ElementsAre(0.7F, 0.3F));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(9, -1));
  EXPECT_THAT(trace.segments[0]->phases.values, ElementsAre(255, 1));
  EXPECT_FALSE(trace.info->rank_order);
}

TEST(JsonLines, ACutOffLineKeepsWhatCameBefore) {
  const ImportFolder folder;
  const Trace trace =
      folder.import("x.jsonl", "{\"layer\":0,\"token\":0,\"experts\":[5,2]}\n{\"layer\":0,\"token\":1,\"exp");
  EXPECT_EQ(trace.token_count(), 1U);
  EXPECT_THAT(notes_of(trace), HasSubstr("Line 2"));
}

std::size_t files_in(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) count += entry.exists() ? 1 : 0;
  return count;
}

TEST(LargeImports, AreConvertedOnceAndMappedFromThere) {
  const ImportFolder folder;
  std::string text;
  for (int t = 0; t < 500; ++t) {
    for (int l = 0; l < 3; ++l) {
      text += "{\"layer\":" + std::to_string(l) + ",\"token\":" + std::to_string(t) + ",\"experts\":[" +
              std::to_string((t + l) % 9) + "," + std::to_string(9 + t % 5) + "]}\n";
    }
  }
  const auto file = folder.write("large.jsonl", text);
  const Trace held = folder.import("large.jsonl", text);
  ImportOptions options;
  options.converted = folder.path() / "cache" / "imports";
  const auto small = import_trace({file}, options);
  ASSERT_TRUE(small) << small.error().text();
  EXPECT_EQ(files_in(options.converted), 0U) << "what fits is held";
  options.most_held = 1000;
  for (int time = 0; time < 2; ++time) {
    const auto trace = import_trace({file}, options);
    ASSERT_TRUE(trace) << trace.error().text();
    EXPECT_EQ(files_in(options.converted), 1U);
    EXPECT_EQ(trace->path, file.string()) << "the file that the user named";
    EXPECT_EQ(trace->name, held.name);
    EXPECT_EQ(trace->rows().size(), held.rows().size());
    ASSERT_EQ(trace->token_count(), 500U);
    for (std::size_t t = 0; t < 500; ++t) {
      for (std::size_t r = 0; r < 3; ++r) ASSERT_EQ(ids_at(*trace, r, t), ids_at(held, r, t));
    }
  }
  // Another content and other options are other conversions; old ones go.
  const auto first = std::filesystem::directory_iterator(options.converted)->path();
  std::filesystem::last_write_time(first, std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 40));
  options.experts = 20;
  const auto told = import_trace({file}, options);
  ASSERT_TRUE(told) << told.error().text();
  EXPECT_EQ(told->rows()[0].experts, 20U);
  EXPECT_EQ(files_in(options.converted), 1U);
  EXPECT_FALSE(std::filesystem::exists(first));
}

TEST(LargeImports, ADamagedConversionIsMadeAgain) {
  const ImportFolder folder;
  const auto file = folder.write(
      "x.jsonl", "{\"layer\":0,\"token\":0,\"experts\":[5,2]}\n{\"layer\":0,\"token\":1,\"experts\":[3,1]}\n");
  ImportOptions options;
  options.converted = folder.path() / "imports";
  options.most_held = 1;
  ASSERT_TRUE(import_trace({file}, options));
  const auto made = std::filesystem::directory_iterator(options.converted)->path();
  std::filesystem::resize_file(made, 20);
  const auto again = import_trace({file}, options);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->token_count(), 2U);
  EXPECT_THAT(ids_at(*again, 0, 1), ElementsAre(3, 1));
}

TEST(CountTables, OldSglangRanksAreAddedUp) {
  const ImportFolder folder;
  const auto trace = import_trace({folder.write("a.csv", "layer_id,expert_id,count\n3,0,128\n3,2,5\n"),
                                   folder.write("b.csv", "layer_id,expert_id,count\n3,0,2\n4,1,7\n")},
                                  {});
  ASSERT_TRUE(trace) << trace.error().text();
  ASSERT_EQ(trace->rows().size(), 2U);
  EXPECT_EQ(trace->rows()[0].layer, 3);
  EXPECT_THAT(counts_at(*trace, 0), ElementsAre(130, 0, 5));
  EXPECT_THAT(counts_at(*trace, 1), ElementsAre(0, 7, 0));
}

TEST(CountTables, MoeTraceCountsUses) {
  const ImportFolder folder;
  const Trace trace = folder.import("t.csv", "layer,expert\n0,1\n0,1\n0,3\n1,0\n");
  EXPECT_THAT(counts_at(trace, 0), ElementsAre(0, 2, 0, 1));
  EXPECT_FALSE(trace.has_ids());
}

TEST(CountTables, MatricesInCsvJsonTextAndNpy) {
  const ImportFolder folder;
  EXPECT_THAT(counts_at(folder.import("m.csv", "1,2,3\n4,5,6\n"), 1), ElementsAre(4, 5, 6));
  EXPECT_THAT(counts_at(folder.import("m.json", "[[1,2,3],[4,5,6]]"), 1), ElementsAre(4, 5, 6));
  EXPECT_THAT(counts_at(folder.import("l.json", "{\"logical_count\":[[[1,2],[3,4]],[[1,1],[1,1]]]}"), 0),
              ElementsAre(2, 3));
  EXPECT_THAT(counts_at(folder.import("u.txt", "-1 0 0\n0 1 17\n2 0 4\n"), 1), ElementsAre(4, 0));
  EXPECT_THAT(counts_at(folder.import("n.csv", "layer,expert,count\n0,1,4\n"), 0), ElementsAre(0, 4));
  ImportOptions counts;
  counts.format = "expert-counts";
  EXPECT_THAT(
      counts_at(folder.import("m.npy", fixtures::npy_bytes<std::int64_t>(DType::i64, {2, 2}, {1, 2, 3, 4}), counts), 1),
      ElementsAre(3, 4));
}

TEST(CountTables, WhatIsNoCountIsRefusedWithItsPlace) {
  const ImportFolder folder;
  const auto trace = import_trace({folder.write("m.csv", "1,2\n-3,4\n")}, {});
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().where, HasSubstr("layer 1, expert 0"));
}

TEST(EplbWeights, JsonUnderWeight) {
  const ImportFolder folder;
  EXPECT_THAT(counts_at(folder.import("w.json", "{\"weight\":[[90,132],[20,107]]}"), 0), ElementsAre(90, 132));
}

TEST(Megatron, StepsRanksAndMtpBlocks) {
  const ImportFolder folder;
  const auto line = [](const char* block, int layer, const char* ids, const char* more = "") {
    return std::string("{\"step\":4,\"stage\":\"pre_dispatch\",\"block\":\"") + block +
           "\",\"layer\":" + std::to_string(layer) + ",\"rank\":1,\"num_tokens\":2,\"topk\":2,\"top_indices\":" + ids +
           more + "}\n";
  };
  const Trace trace = folder.import("router_trace_rank1.jsonl", line("decoder", 3, "[[1,2],[0,3]]") +
                                                                    line("decoder", 4, "[[5,1],[2,0]]") +
                                                                    line("mtp", 3, "[[4,2],[3,1]]", ",\"mtp_idx\":0"));
  ASSERT_EQ(trace.rows().size(), 3U);
  EXPECT_EQ(trace.rows()[0].layer, 3);
  EXPECT_EQ(trace.rows()[2].block, "mtp");
  EXPECT_THAT(ids_at(trace, 2, 1), ElementsAre(3, 1));
  EXPECT_THAT(trace.segments[0]->ranks.values, ElementsAre(1, 1));
  EXPECT_THAT(trace.segments[0]->steps.values, ElementsAre(4, 4));
}

TEST(Megatron, LogitsLieInTheSidecar) {
  const ImportFolder folder;
  const std::vector<std::uint16_t> logits{0x3F80, 0xBF80, 0x4000};  // 1, −1, 2 in bfloat16
  folder.write("logits_rank0.bin", "xx" + std::string(reinterpret_cast<const char*>(logits.data()), 6));
  const Trace trace = folder.import(
      "router_trace_rank0.jsonl",
      "{\"step\":0,\"stage\":\"s\",\"block\":\"decoder\",\"layer\":0,\"rank\":0,\"num_tokens\":1,\"topk\":1,"
      "\"top_indices\":[[2]],\"logit_offset\":2,\"logit_bytes\":6,\"logit_shape\":[1,3]}");
  ASSERT_TRUE(trace.has_router_logits());
  EXPECT_EQ(trace.segments[0]->router_logits.at(2), 2.0F);
  EXPECT_EQ(trace.rows()[0].experts, 3U);
}

TEST(Megatron, TokensPerExpertAreCounts) {
  const ImportFolder folder;
  const auto trace = import_trace(
      {folder.write("rank0.jsonl", "{\"iter\":1,\"block\":\"decoder\",\"layer\":0,\"tpe\":[[1,2],[3,4]]}\n"),
       folder.write("rank1.jsonl", "{\"iter\":1,\"block\":\"decoder\",\"layer\":0,\"tpe\":[[5,6]]}\n")},
      {});
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_THAT(counts_at(*trace, 0), ElementsAre(4, 6, 5, 6));
}

TEST(Olmoe, RankComesBeforeLayer) {
  const ImportFolder folder;
  const Trace trace = folder.import(
      "c4.jsonl",
      "{\"input_ids\":[7,8],\"predicted_token_ids\":[8,9],\"exp_ids\":[[[1,2,3],[4,5,6]],[[0,1,2],[3,4,5]]]}\n"
      "{\"input_ids\":[9],\"exp_ids\":[[[6,6,6],[7,0,1]]]}\n");
  ASSERT_EQ(trace.rows().size(), 3U);
  EXPECT_THAT(ids_at(trace, 1, 0), ElementsAre(2, 5));
  EXPECT_THAT(ids_at(trace, 2, 2), ElementsAre(6, 1));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(7, 8, 9));
  EXPECT_THAT(trace.segments[0]->sequence_ids.values, ElementsAre(0, 0, 1));
}

TEST(Esft, LayersOfSeveralFilesStandSideBySide) {
  const ImportFolder folder;
  ImportOptions options;
  options.k = 2;
  const auto trace = import_trace({folder.write("expert_weights_1.txt", "5\t2\t1\t0\t\t0.6\t0.4\t0.9\t0.1\n"),
                                   folder.write("expert_weights_2.txt", "3\t4\t7\t1\t\t0.5\t0.5\t0.8\t0.2\n")},
                                  options);
  ASSERT_TRUE(trace) << trace.error().text();
  ASSERT_EQ(trace->rows().size(), 2U);
  EXPECT_EQ(trace->rows()[0].layer, 1);
  EXPECT_THAT(ids_at(*trace, 0, 1), ElementsAre(1, 0));
  EXPECT_THAT(ids_at(*trace, 1, 0), ElementsAre(3, 4));
  EXPECT_THAT(fixtures::weights_at(*trace, 1, 1), ElementsAre(0.8F, 0.2F));
}

TEST(Importers, WhatNothingFitsSaysWhatWasLookedFor) {
  const ImportFolder folder;
  const auto trace = import_trace({folder.write("x.txt", "hello world\n")}, {});
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().kind, ErrorKind::input);
  EXPECT_THAT(trace.error().text(), HasSubstr("Looked for"));
  EXPECT_THAT(trace.error().text(), HasSubstr("BigMoeOnEdge"));
}

TEST(Importers, WhatFitsSeveralAsksForTheFormat) {
  const ImportFolder folder;
  const auto path = folder.write(
      "a.npy", fixtures::npy_bytes<std::int32_t>(DType::i32, {3, 4}, {1, 2, 3, 0, 0, 1, 2, 3, 3, 2, 1, 0}));
  const auto trace = import_trace({path}, {});
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().kind, ErrorKind::usage);
  EXPECT_THAT(trace.error().text(), HasSubstr("exflow"));
  EXPECT_THAT(trace.error().text(), HasSubstr("expert-counts"));
  const auto candidates = import_candidates(path);
  ASSERT_TRUE(candidates);
  EXPECT_EQ(candidates->size(), 2U);
  ImportOptions options;
  options.format = "exflow";
  const auto chosen = import_trace({path}, options);
  ASSERT_TRUE(chosen) << chosen.error().text();
  EXPECT_EQ(chosen->token_count(), 3U);
}

TEST(Importers, AnUnknownFormatListsThoseThereAre) {
  const ImportFolder folder;
  ImportOptions options;
  options.format = "csvv";
  const auto trace = import_trace({folder.write("x.txt", "1,2\n")}, options);
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().advice, HasSubstr("sglang-recorder"));
}

TEST(Importers, FilesOfSeveralFormatsAreNotMixed) {
  const ImportFolder folder;
  const auto trace = import_trace(
      {folder.write("a.csv", "layer,expert\n0,1\n"), folder.write("b.csv", "layer,expert,count\n0,1,2\n")}, {});
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().what, HasSubstr("several formats"));
}

}  // namespace
}  // namespace moescope::text_formats_test
