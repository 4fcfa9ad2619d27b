#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_golden_test {
namespace {

class EngineGolden : public engine_test::EngineTest {};

constexpr std::size_t tokens = 10, experts = 8, k = 3, vocabulary = 64;

TEST_F(EngineGolden, IdsWeightsRouterLogitsAndLogitsAreThoseOfTheModel) {
  const Trace trace = run(golden_request());
  ASSERT_EQ(trace.segments.size(), 1U);
  const Segment& segment = *trace.segments[0];
  ASSERT_EQ(segment.rows, 2U);
  ASSERT_EQ(segment.tokens, tokens);
  ASSERT_EQ(segment.slots, k);
  for (std::size_t row = 0; row < 2; ++row) {
    const std::string layer = "layer." + std::to_string(row);
    const auto ids = golden_.get<std::int64_t>(layer + ".topk_ids");
    for (std::size_t i = 0; i < tokens * k; ++i) {
      EXPECT_EQ(segment.id(row, i / k, i % k), static_cast<std::uint32_t>(ids[i])) << layer << " slot " << i;
    }
    const auto weights = floats(segment.gate_weights), logits = floats(segment.router_logits);
    const auto begin = static_cast<std::ptrdiff_t>(row * tokens);
    const std::ptrdiff_t wide = begin * static_cast<std::ptrdiff_t>(experts);
    const std::ptrdiff_t narrow = begin * static_cast<std::ptrdiff_t>(k);
    EXPECT_LT(largest_difference({weights.begin() + narrow, weights.begin() + narrow + tokens * k},
                                 golden_.get(layer + ".topk_weights")),
              1e-5);
    EXPECT_LT(largest_difference({logits.begin() + wide, logits.begin() + wide + tokens * experts},
                                 golden_.get(layer + ".router_logits")),
              1e-5);
  }
  EXPECT_LT(largest_difference(output_logits(trace), golden_.get("logits")), 1e-4);
}

TEST_F(EngineGolden, LossIsThatOfTheNextTokenAndAbsentAtTheEnd) {
  const Trace trace = run(golden_request());
  const auto loss = floats(trace.segments[0]->token_values.at("loss"));
  const auto logits = golden_.get("logits");
  const auto ids = golden_.ids();
  double sum = 0;
  for (std::size_t t = 0; t + 1 < tokens; ++t) {
    double total = 0;
    for (std::size_t v = 0; v < vocabulary; ++v) total += std::exp(static_cast<double>(logits[t * vocabulary + v]));
    const double expected =
        std::log(total) - static_cast<double>(logits[t * vocabulary + static_cast<std::size_t>(ids[t + 1])]);
    EXPECT_NEAR(loss[t], expected, 1e-4) << t;
    sum += expected;
  }
  EXPECT_TRUE(std::isnan(loss[tokens - 1]));
  EXPECT_NEAR(summary_.mean_loss, sum / (tokens - 1), 1e-4);
}

TEST_F(EngineGolden, MarginIsTheGapBetweenTheLastChosenAndTheNextProbability) {
  const Trace trace = run(golden_request());
  const auto margin = floats(trace.segments[0]->row_values.at("margin"));
  for (std::size_t row = 0; row < 2; ++row) {
    const auto logits = golden_.get("layer." + std::to_string(row) + ".router_logits");
    for (std::size_t t = 0; t < tokens; ++t) {
      std::vector<double> p;
      double total = 0;
      for (std::size_t e = 0; e < experts; ++e) p.push_back(std::exp(static_cast<double>(logits[t * experts + e])));
      for (const double x : p) total += x;
      std::sort(p.begin(), p.end(), std::greater<>());
      EXPECT_NEAR(margin[row * tokens + t], (p[k - 1] - p[k]) / total, 1e-5);
    }
  }
}

TEST_F(EngineGolden, TheTraceSaysWhatWasRun) {
  RunRequest request = golden_request();
  request.name = "the prompt";
  request.source = "a test";
  request.sequences[0].text = "abcdefghij";
  for (std::uint64_t t = 0; t < tokens; ++t) request.sequences[0].spans.emplace_back(t, t + 1);
  request.sequences[0].tags = {{"domain", "letters"}};
  request.sequences.push_back({{1, 2}, "xy", {{0, 1}, {1, 2}}, {{"domain", "ends"}}});
  const Trace trace = run(request);
  EXPECT_EQ(trace.info->compute_type, "float32");
  EXPECT_EQ(trace.info->model_family, "olmoe");
  EXPECT_EQ(trace.info->weight_kind, "softmax, not renormalised");
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[1].layer, 1);
  EXPECT_EQ(trace.rows()[1].experts, experts);
  EXPECT_EQ(trace.rows()[1].k, k);
  EXPECT_EQ(trace.token_text(2), "c");
  EXPECT_EQ(trace.token_text(11), "y");
  const Segment& segment = *trace.segments[0];
  EXPECT_EQ(segment.sequence_ids[10], 1);
  EXPECT_EQ(segment.positions[11], 1);
  const TagColumn& domain = segment.tags.at("domain");
  EXPECT_EQ(domain.names.at(static_cast<std::size_t>(domain.codes[0])), "letters");
  EXPECT_EQ(domain.names.at(static_cast<std::size_t>(domain.codes[11])), "ends");
  EXPECT_EQ(summary_.tokens, 12U);
  EXPECT_EQ(summary_.sequences, 2U);
}

TEST_F(EngineGolden, ASequenceAloneEqualsTheSameOneAmongOthers) {
  const Trace alone = run(golden_request());
  RunRequest request = golden_request();
  const std::vector<std::int32_t> ids = golden_.ids();
  request.sequences = {{{5, 6, 7}, "", {}, {}},
                       {ids, "", {}, {}},
                       {std::vector<std::int32_t>(ids.rbegin(), ids.rend()), "", {}, {}},
                       {{9}, "", {}, {}},
                       {std::vector<std::int32_t>(37, 11), "", {}, {}}};
  const Trace among = run(request);
  const Segment &a = *alone.segments[0], &b = *among.segments[0];
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t row = 0; row < 2; ++row) {
      for (std::size_t j = 0; j < k; ++j) {
        EXPECT_EQ(a.id(row, t, j), b.id(row, t + 3, j));
        EXPECT_NEAR(a.gate_weights.at((row * tokens + t) * k + j), b.gate_weights.at((row * b.tokens + t + 3) * k + j),
                    1e-6);
      }
    }
    for (std::size_t v = 0; v < vocabulary; ++v) {
      EXPECT_NEAR(a.output_logits.at(t * vocabulary + v), b.output_logits.at((t + 3) * vocabulary + v), 1e-5);
    }
  }
}

TEST_F(EngineGolden, BrainFloatIsCloseAndSaysSo) {
  const Trace exact = run(golden_request());
  RunRequest request = golden_request();
  request.compute_type = ComputeType::bfloat16;
  const Trace rough = run(request);
  EXPECT_EQ(rough.info->compute_type, "bfloat16");
  EXPECT_EQ(summary_.compute_type, "bfloat16");
  const double difference = largest_difference(output_logits(rough), output_logits(exact));
  EXPECT_GT(difference, 0.0);
  EXPECT_LT(difference, 0.3);
  EXPECT_LT(largest_difference(floats(rough.segments[0]->router_logits), floats(exact.segments[0]->router_logits)),
            0.2);
}

TEST_F(EngineGolden, ColumnsThatWereNotAskedForAreAbsent) {
  RunRequest request = golden_request();
  request.record = RecordOptions{};
  request.record.gate_weights = false;
  request.record.token_loss = false;
  const Trace trace = run(request);
  const Segment& segment = *trace.segments[0];
  EXPECT_TRUE(segment.gate_weights.empty());
  EXPECT_TRUE(segment.router_logits.empty());
  EXPECT_TRUE(segment.output_logits.empty());
  EXPECT_FALSE(segment.token_values.contains("loss"));
  EXPECT_TRUE(segment.has_ids());
}

TEST_F(EngineGolden, SampledOutputsHaveTheNormsThatWereRecorded) {
  RunRequest request = golden_request();
  request.record.expert_output_norms = true;
  request.record.sampled_outputs = 2;
  const Trace trace = run(request);
  const auto norms = floats(trace.segments[0]->slot_values.at("output_norm"));
  const std::string file = (folder_ / "run0.outputs.safetensors").string();
  const auto samples = read_safetensors(file);
  ASSERT_TRUE(samples.has_value()) << samples.error().text();
  std::size_t checked = 0;
  for (std::size_t row = 0; row < 2; ++row) {
    const std::string name = "row." + std::to_string(row);
    const auto outputs = engine_test::values_of<float>(*samples->find(name + ".outputs"));
    const auto chosen = engine_test::values_of<std::int32_t>(*samples->find(name + ".experts"));
    const auto places = engine_test::values_of<std::int32_t>(*samples->find(name + ".tokens"));
    const std::size_t hidden = outputs.size() / chosen.size();
    for (std::size_t s = 0; s < chosen.size(); ++s) {
      double sum = 0;
      for (std::size_t h = 0; h < hidden; ++h) {
        sum += static_cast<double>(outputs[s * hidden + h]) * static_cast<double>(outputs[s * hidden + h]);
      }
      const auto token = static_cast<std::size_t>(places[s]);
      for (std::size_t j = 0; j < k; ++j) {
        if (trace.segments[0]->id(row, token, j) != static_cast<std::uint32_t>(chosen[s])) continue;
        EXPECT_NEAR(norms[(row * tokens + token) * k + j], std::sqrt(sum), 1e-4);
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 16U);
}

TEST_F(EngineGolden, WhatCannotRunIsAnErrorThatSaysWhere) {
  RunRequest request = golden_request();
  request.out = (folder_ / "never.routes.safetensors").string();
  request.sequences = {{{1, 2}, "", {}, {}}, {{3, 64}, "", {}, {}}};
  const auto outside = engine_->run(request, WorkContext{});
  ASSERT_FALSE(outside.has_value());
  EXPECT_EQ(outside.error().kind, ErrorKind::input);
  EXPECT_THAT(outside.error().where, ::testing::HasSubstr("sequence 1, token 1"));
  request.sequences = {{{}, "", {}, {}}};
  EXPECT_EQ(engine_->run(request, WorkContext{}).error().kind, ErrorKind::usage);
  request.sequences = {{{1}, "", {}, {}}};
  request.hooks = {SkipLayerHook{7}};
  EXPECT_EQ(engine_->run(request, WorkContext{}).error().kind, ErrorKind::usage);
  request.hooks.clear();
  request.checkpoint = "/nowhere";
  EXPECT_EQ(engine_->run(request, WorkContext{}).error().kind, ErrorKind::input);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(EngineGolden, EmptySequencesAreLeftOutWithANote) {
  RunRequest request = golden_request();
  request.sequences.insert(request.sequences.begin(), SequenceInput{});
  const Trace trace = run(request);
  EXPECT_EQ(trace.segments[0]->sequence_ids[0], 1);
  EXPECT_THAT(summary_.notes, ::testing::Contains(::testing::HasSubstr("sequence 0 is empty")));
}

TEST_F(EngineGolden, ACancelStopsTheRunAndLeavesNoFile) {
  RunRequest request = golden_request();
  request.out = (folder_ / "never.routes.safetensors").string();
  WorkContext work;
  std::vector<std::string> stages;
  work.on_progress = [&](const ProgressReport& report) {
    stages.push_back(report.stage);
    if (report.stage.find("layer 2 of 2") != std::string::npos) work.cancel.cancel();
  };
  const auto summary = engine_->run(request, work);
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().kind, ErrorKind::cancelled);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_THAT(stages, ::testing::Contains(::testing::HasSubstr("layer 1 of 2, sequence 1 of 1")));
}

}  // namespace
}  // namespace moescope::engine_golden_test
