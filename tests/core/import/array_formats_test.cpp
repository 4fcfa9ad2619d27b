// Formats that are arrays: router logits, ExFlow, MoE-Infinity, MOET, importance matrices; and server responses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/trace/trace_file.h"
#include "tests/core/import/import_fixture.h"
#include "tests/core/io/base64_text.h"
#include "tests/core/io/gguf_bytes.h"
#include "tests/core/io/zip_bytes.h"

namespace moescope::array_formats_test {
namespace {

using fixtures::base64_text;
using fixtures::counts_at;
using fixtures::ids_at;
using fixtures::ImportFolder;
using fixtures::npy_bytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Number>
std::string raw(const std::vector<Number>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Number)};
}

ImportOptions top(std::uint32_t k) {
  ImportOptions options;
  options.k = k;
  return options;
}

TEST(RouterLogits, SafetensorsKeysAreLayersInTheirOrder) {
  const std::vector<float> values{1, -2, 3, 0, 5, 4, -1, -1, 2, 3, 0.5F, 9};
  const ImportFolder folder;
  const Trace trace = folder.import(
      "l.safetensors",
      fixtures::safetensors_bytes("{\"router_logits.10\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                  "\"router_logits.2\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,48]}}",
                                  raw(values)),
      top(1));
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[0].experts, 3U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(2));  // router_logits.2: −1 −1 2
  EXPECT_THAT(ids_at(trace, 1, 0), ElementsAre(2));  // router_logits.10: 1 −2 3
  EXPECT_THAT(ids_at(trace, 1, 1), ElementsAre(1));
}

TEST(RouterLogits, StackedNpyHasLayersInFront) {
  const ImportFolder folder;
  const Trace trace = folder.import("x", npy_bytes<float>(DType::f32, {2, 1, 3}, {0.5F, 1, 2, -3, -1, -2}), top(2));
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(2, 1));
  EXPECT_THAT(ids_at(trace, 1, 0), ElementsAre(1, 2));
}

TEST(RouterLogits, NpzHasAnArrayPerLayer) {
  const ImportFolder folder;
  const std::string zip = fixtures::zip_bytes(
      {fixtures::stored_part("layer_0.npy", npy_bytes<float>(DType::f32, {1, 1, 3}, {0.5F, -1, 2})),
       fixtures::deflated_part("layer_1.npy", npy_bytes<float>(DType::f32, {1, 1, 3}, {3, -1, 2}))});
  const Trace trace = folder.import("x.npz", zip, top(1));
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(2));
  EXPECT_THAT(ids_at(trace, 1, 0), ElementsAre(0));
  EXPECT_THAT(trace.segments[0]->sequence_ids.values, ElementsAre(0));
}

TEST(RouterLogits, CheckpointsAreNotTakenForThem) {
  const ImportFolder folder;
  EXPECT_EQ(folder.format_of("m.safetensors", fixtures::safetensors_bytes(
                                                  "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                                                  "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
                                                  std::string(16, '\x3f'))),
            "");
}

TEST(ExFlow, TopOneIds) {
  std::vector<std::int64_t> ids;
  for (std::int64_t t = 0; t < 300; ++t) ids.insert(ids.end(), {t % 4, (t + 1) % 4});
  const ImportFolder folder;
  const Trace trace = folder.import("trace.npy", npy_bytes(DType::i64, {300, 2}, ids));
  ASSERT_EQ(trace.token_count(), 300U);
  EXPECT_EQ(trace.rows()[0].experts, 4U);
  EXPECT_EQ(trace.rows()[0].k, 1U);
  EXPECT_THAT(ids_at(trace, 1, 2), ElementsAre(3));
}

TEST(MoeInfinity, EmptySlotsAreLeftOut) {
  const ImportFolder folder;
  const Trace trace =
      folder.import("eam.npy", npy_bytes<float>(DType::f32, {3, 2, 2}, {1, 2, 3, 4, 0, 0, 0, 0, 5, 0, 0, 6}));
  EXPECT_EQ(trace.counts.steps, 2U);
  EXPECT_THAT(counts_at(trace, 0), ElementsAre(6, 2));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("1 of 3 steps"));
}

std::string moet(std::uint32_t version, const std::vector<std::uint32_t>& tokens) {
  std::string out = raw<std::uint32_t>({0x54454F4D, version, 2, 8, 2, 0}) + raw<std::uint64_t>({tokens.size() * 2});
  for (const std::uint32_t token : tokens) {
    for (std::uint16_t layer = 0; layer < 2; ++layer) {
      out += raw<std::uint16_t>({layer, 0}) + raw<std::uint32_t>({token});
      out += raw<std::uint16_t>({static_cast<std::uint16_t>(token + 1), static_cast<std::uint16_t>(layer + 5)}) +
             raw<float>({0.75F, 0.25F});
      if (version == 3) out += raw<float>({1.5F, 2.5F});
    }
  }
  return out;
}

TEST(Moet, BothVersionsAndBatches) {
  const ImportFolder folder;
  const Trace two = folder.import("a.bin", moet(2, {0, 1}));
  EXPECT_EQ(two.token_count(), 2U);
  EXPECT_THAT(ids_at(two, 1, 1), ElementsAre(2, 6));
  EXPECT_THAT(fixtures::weights_at(two, 0, 0), ElementsAre(0.75F, 0.25F));
  const Trace three = folder.import("b.bin", moet(3, {0, 1, 0}));
  EXPECT_EQ(three.token_count(), 3U);  // the third begins another batch
  EXPECT_EQ(three.segments[0]->slot_values.at("output_norm").at(1), 2.5F);
}

TEST(Moet, ACutOffFileKeepsWholeRecords) {
  const ImportFolder folder;
  std::string bytes = moet(2, {0, 1});
  bytes.resize(bytes.size() - 3);
  const Trace trace = folder.import("a.bin", bytes);
  EXPECT_EQ(trace.token_count(), 2U);
  EXPECT_THAT(ids_at(trace, 1, 1), ElementsAre());
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("3 of 4 records"));
}

TEST(Imatrix, CountsPerExpert) {
  fixtures::GgufBytes gguf;
  gguf.add("general.type", "imatrix");
  gguf.add("imatrix.datasets", std::vector<std::string>{"wiki.txt"});
  gguf.tensor("blk.3.ffn_gate_exps.weight.in_sum2", {2, 3}, 0, raw<float>({1, 2, 3, 4, 5, 6}));
  gguf.tensor("blk.3.ffn_gate_exps.weight.counts", {1, 3}, 0, raw<float>({10, 0, 32}));
  gguf.tensor("blk.3.ffn_down_exps.weight.counts", {1, 3}, 0, raw<float>({10, 0, 32}));
  gguf.tensor("blk.0.attn_q.weight.counts", {1, 1}, 0, raw<float>({42}));
  const ImportFolder folder;
  const Trace trace = folder.import("i.gguf", gguf.bytes());
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 3);
  EXPECT_THAT(counts_at(trace, 0), ElementsAre(10, 0, 32));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("wiki.txt"));
}

// Three rows of two layers (the first dense) and two experts, as int32.
const std::vector<std::int32_t> routes{0, 0, 1, 2, 0, 0, 3, 1, 0, 0, 2, 0};

void expect_routes(const Trace& trace) {
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
  ASSERT_EQ(trace.token_count(), 3U);
  EXPECT_THAT(ids_at(trace, 0, 0), ElementsAre(1, 2));
  EXPECT_THAT(ids_at(trace, 0, 2), ElementsAre(2, 0));
}

TEST(RoutedExperts, SglangRawBytesWithTheModel) {
  const ImportFolder folder;
  ImportOptions options;
  options.model.emplace();
  options.model->moe = {false, true};
  options.model->experts = 4;
  options.model->k = 2;
  const std::string response =
      "{\"text\":\"x\",\"output_ids\":[13,14],\"input_ids\":[11,12],\"meta_info\":{\"prompt_tokens\":2,"
      "\"completion_tokens\":2,\"routed_experts\":\"" +
      base64_text(raw(routes)) + "\"}}";
  const Trace trace = folder.import("r.json", response, options);
  expect_routes(trace);
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(11, 12, 13));
  EXPECT_THAT(trace.segments[0]->phases.values, ElementsAre(0, 0, 1));
  options.model.reset();
  options.k = 2;  // the usage tells the number of rows, so the layers follow
  expect_routes(folder.import("r2.json", response, options));
  const auto nothing = import_trace({folder.write("r3.json", response)}, {});
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error().text(), HasSubstr("--model"));
}

TEST(RoutedExperts, SglangNarrowTypesAndOpenAiPlaces) {
  const ImportFolder folder;
  std::vector<std::uint8_t> narrow(routes.begin(), routes.end());
  ImportOptions options = top(2);
  options.layers = 2;
  const std::string data = base64_text(raw(narrow));
  expect_routes(folder.import(
      "a.json", "{\"meta_info\":{\"routed_experts_dtype\":\"uint8\",\"routed_experts\":\"" + data + "\"}}", options));
  const std::string wide = base64_text(raw(routes));
  expect_routes(
      folder.import("b.json", "{\"choices\":[{\"sgl_ext\":{\"routed_experts\":\"" + wide + "\"}}]}", options));
  expect_routes(folder.import(
      "c.json", "{\"choices\":[{\"text\":\"\"}],\"sglext\":{\"routed_experts\":\"" + wide + "\"}}", options));
}

TEST(RoutedExperts, VllmNestedListsOfPromptAndAnswer) {
  const ImportFolder folder;
  const Trace trace = folder.import("v.json",
                                    "{\"prompt_token_ids\":[5,6],\"prompt_routed_experts\":[[[-1,-1]],[[1,2]]],"
                                    "\"choices\":[{\"token_ids\":[7,8],\"routed_experts\":[[[3,1]],[[2,0]]]}]}");
  ASSERT_EQ(trace.rows().size(), 1U);
  ASSERT_EQ(trace.token_count(), 4U);
  EXPECT_EQ(trace.segments[0]->used_at(0, 0), used_code::cached_prefix);
  EXPECT_THAT(ids_at(trace, 0, 2), ElementsAre(3, 1));
  EXPECT_THAT(trace.segments[0]->token_ids.values, ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(trace.segments[0]->positions.values, ElementsAre(0, 1, 2, 3));
}

TEST(RoutedExperts, VllmNpyInBase64) {
  const ImportFolder folder;
  const std::string npy = base64_text(npy_bytes(DType::i32, {3, 2, 2}, routes));
  const Trace trace = folder.import("v.jsonl", "{\"choices\":[{\"routed_experts\":\"" + npy +
                                                   "\",\"token_ids\":[3,4]}],\"prompt_token_ids\":[1,2]}\n"
                                                   "{\"error\":{\"message\":\"overloaded\"}}\n"
                                                   "{\"choices\":[{\"routed_experts\":\"" +
                                                   npy + "\"}]}\n");
  EXPECT_EQ(trace.token_count(), 6U);
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("1 responses were left out"));
  EXPECT_THAT(fixtures::notes_of(trace), HasSubstr("overloaded"));
  EXPECT_THAT(ids_at(trace, 0, 3), ElementsAre(1, 2));
}

TEST(RoutedExperts, WrappedDataWithItsShape) {
  const ImportFolder folder;
  const std::vector<std::int16_t> narrow(routes.begin(), routes.end());
  expect_routes(folder.import("d.json", "{\"choices\":[{\"routed_experts\":{\"data\":\"" + base64_text(raw(narrow)) +
                                            "\",\"shape\":[3,2,2],\"dtype\":\"int16\",\"start\":0}}]}"));
  const auto wrong =
      import_trace({folder.write("e.json", "{\"choices\":[{\"routed_experts\":{\"data\":\"" + base64_text(raw(narrow)) +
                                               "\",\"shape\":[3,2,3],\"dtype\":\"int16\"}}]}")},
                   {});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().what, HasSubstr("does not match"));
}

TEST(RoutedExperts, SavedArrays) {
  const ImportFolder folder;
  expect_routes(folder.import("a.npy", npy_bytes(DType::i32, {3, 2, 2}, routes)));
}

TEST(Importers, OwnTracesComeBackAndImportsAreWritten) {
  const ImportFolder folder;
  const auto source = folder.write("a.npy", npy_bytes(DType::i32, {3, 2, 2}, routes));
  const auto out = folder.path() / "o.routes.safetensors";
  const auto report = import_to_file({source}, out, {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->format, "routed-experts");
  EXPECT_EQ(report->tokens, 3U);
  const auto read = read_trace(out);
  ASSERT_TRUE(read) << read.error().text();
  expect_routes(*read);
  EXPECT_THAT(fixtures::notes_of(*read), HasSubstr("dense"));
  const auto again = import_trace({out}, {});
  ASSERT_TRUE(again) << again.error().text();
  expect_routes(*again);
}

}  // namespace
}  // namespace moescope::array_formats_test
