#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/io/safetensors_writer.h"
#include "core/model/checkpoint.h"
#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_hooks_test {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;

constexpr std::size_t tokens = 10, experts = 8, k = 3, vocabulary = 64, hidden = 32;

class EngineHooks : public engine_test::EngineTest {
 protected:
  [[nodiscard]] static std::vector<std::uint32_t> chosen(const Trace& trace, std::size_t row, std::size_t token) {
    const Segment& segment = *trace.segments.at(0);
    std::vector<std::uint32_t> out;
    for (std::size_t j = 0; j < segment.filled(row, token); ++j) out.push_back(segment.id(row, token, j));
    return out;
  }
  // Largest difference of one token's logits between two runs.
  [[nodiscard]] static double token_difference(const Trace& a, const Trace& b, std::size_t token) {
    double most = 0;
    for (std::size_t v = 0; v < vocabulary; ++v) {
      const std::size_t i = token * vocabulary + v;
      most = std::max(
          most, static_cast<double>(std::abs(a.segments[0]->output_logits.at(i) - b.segments[0]->output_logits.at(i))));
    }
    return most;
  }
  [[nodiscard]] static double difference(const Trace& a, const Trace& b) {
    return largest_difference(output_logits(a), output_logits(b));
  }
};

// head(h) = lm_head · norm(h), from the checkpoint's own weights.
std::vector<float> head_of(const std::vector<float>& h) {
  const auto checkpoint = Checkpoint::open(engine_test::golden_folder).value();
  const auto norm = engine_test::values_of<float>(*checkpoint->tensor(checkpoint->names()[WeightRole::final_norm]));
  const auto head = engine_test::values_of<float>(*checkpoint->tensor(checkpoint->names()[WeightRole::lm_head]));
  std::vector<float> out;
  for (std::size_t t = 0; t < h.size() / hidden; ++t) {
    double squares = 0;
    for (std::size_t i = 0; i < hidden; ++i) squares += std::pow(static_cast<double>(h[t * hidden + i]), 2);
    const double scale = 1.0 / std::sqrt(squares / hidden + checkpoint->spec().norm_epsilon);
    for (std::size_t v = 0; v < vocabulary; ++v) {
      double sum = 0;
      for (std::size_t i = 0; i < hidden; ++i) {
        sum += static_cast<double>(h[t * hidden + i]) * scale * static_cast<double>(norm[i]) *
               static_cast<double>(head[v * hidden + i]);
      }
      out.push_back(static_cast<float>(sum));
    }
  }
  return out;
}

TEST_F(EngineHooks, SkippingTheLastLayersExpertsLeavesTheStateBeforeThem) {
  const Trace trace = run(with_hooks({SkipLayerHook{1}}));
  auto state = golden_.get("layer.1.out");
  const auto added = golden_.get("layer.1.ffn_out");
  for (std::size_t i = 0; i < state.size(); ++i) state[i] -= added[i];
  EXPECT_LT(largest_difference(output_logits(trace), head_of(state)), 1e-4);
  EXPECT_EQ(trace.segments[0]->used_at(1, 0), used_code::skipped_layer);
  EXPECT_EQ(trace.segments[0]->used_at(0, 0), k);
}

TEST_F(EngineHooks, AblatingAnExpertOfTheLastLayerOnlyTouchesItsTokens) {
  const Trace base = run(golden_request());
  // The expert that the fewest tokens chose.
  std::vector<std::size_t> load(experts, 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (const std::uint32_t e : chosen(base, 1, t)) ++load[e];
  }
  std::uint32_t expert = 0;
  for (std::uint32_t e = 0; e < experts; ++e) {
    if (load[e] > 0 && (load[expert] == 0 || load[e] < load[expert])) expert = e;
  }
  const Trace without = run(with_hooks({ExpertHook{ExpertHook::Kind::ablate, 1, expert, 0, 0.0}}));
  std::size_t touched = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    const auto ids = chosen(base, 1, t);
    const bool routed = std::find(ids.begin(), ids.end(), expert) != ids.end();
    touched += routed ? 1U : 0U;
    if (routed) {
      EXPECT_GT(token_difference(base, without, t), 1e-3) << t;
    } else {
      EXPECT_EQ(token_difference(base, without, t), 0.0) << t;
    }
  }
  EXPECT_GT(touched, 0U);
  EXPECT_LT(touched, tokens);
}

TEST_F(EngineHooks, ScaleOneChangesNothingAndScaleZeroIsAblation) {
  const Trace base = run(golden_request());
  EXPECT_EQ(difference(base, run(with_hooks({ExpertHook{ExpertHook::Kind::scale, -1, 2, 0, 1.0}}))), 0.0);
  const Trace zero = run(with_hooks({ExpertHook{ExpertHook::Kind::scale, -1, 2, 0, 0.0}}));
  EXPECT_EQ(difference(zero, run(with_hooks({ExpertHook{ExpertHook::Kind::ablate, -1, 2, 0, 0.0}}))), 0.0);
  EXPECT_GT(difference(base, zero), 1e-3);
}

TEST_F(EngineHooks, SwappingTwiceIsNothingAndOnceIsNot) {
  const Trace base = run(golden_request());
  const ExpertHook swap{ExpertHook::Kind::swap, 0, 1, 4, 0.0};
  EXPECT_EQ(difference(base, run(with_hooks({swap, swap}))), 0.0);
  EXPECT_GT(difference(base, run(with_hooks({swap}))), 1e-3);
}

TEST_F(EngineHooks, SwappingExpertsWithEqualWeightsChangesNothing) {
  // The golden model with expert 1 of layer 0 a copy of expert 4.
  const auto golden = Checkpoint::open(engine_test::golden_folder).value();
  const std::filesystem::path twin = folder_ / "twin";
  std::filesystem::create_directories(twin);
  std::filesystem::copy_file(engine_test::golden_folder + "/config.json", twin / "config.json");
  std::vector<TensorSpec> specs;
  for (const auto& [name, view] : golden->tensors()) specs.push_back({name, view.type, view.shape});
  auto writer = SafetensorsWriter::create(twin / "model.safetensors", specs, {});
  ASSERT_TRUE(writer.has_value());
  for (const auto& [name, view] : golden->tensors()) {
    const WeightNames& names = golden->names();
    const TensorView* source = &view;
    for (const WeightRole role : {WeightRole::expert_gate, WeightRole::expert_up, WeightRole::expert_down}) {
      if (name == tensor_name(names[role], 0, 1)) source = golden->tensor(tensor_name(names[role], 0, 4));
    }
    ASSERT_TRUE(writer->write(name, source->bytes).has_value());
  }
  ASSERT_TRUE(writer->finish().has_value());
  RunRequest plain = golden_request();
  plain.checkpoint = twin.string();
  RunRequest swapped = plain;
  swapped.hooks = {ExpertHook{ExpertHook::Kind::swap, 0, 1, 4, 0.0}};
  EXPECT_EQ(difference(run(plain), run(swapped)), 0.0);
}

TEST_F(EngineHooks, MaskedExpertsAreNeverChosen) {
  OverrideLogitsHook hook;
  hook.mask = {0, 5};
  const Trace trace = run(with_hooks({hook}));
  for (std::size_t row = 0; row < 2; ++row) {
    for (std::size_t t = 0; t < tokens; ++t) {
      EXPECT_EQ(chosen(trace, row, t).size(), k);
      EXPECT_THAT(chosen(trace, row, t), Each(::testing::AllOf(::testing::Ne(0U), ::testing::Ne(5U))));
    }
  }
}

TEST_F(EngineHooks, ForcedExpertsComeFirstAndTheRestByScore) {
  const Trace base = run(golden_request());
  OverrideLogitsHook hook;
  hook.layer = 1;
  hook.force = {6, 2};
  const Trace trace = run(with_hooks({hook}));
  for (std::size_t t = 0; t < tokens; ++t) {
    EXPECT_EQ(chosen(trace, 0, t), chosen(base, 0, t));
    const auto ids = chosen(trace, 1, t);
    ASSERT_EQ(ids.size(), k);
    EXPECT_EQ(ids[0], 6U);
    EXPECT_EQ(ids[1], 2U);
    std::uint32_t best = 0;
    for (const std::uint32_t id : chosen(base, 1, t)) {
      best = id;
      if (id != 6 && id != 2) break;
    }
    EXPECT_EQ(ids[2], best);
  }
}

TEST_F(EngineHooks, ALargeBiasActsLikeAForceAndZeroBiasLikeNothing) {
  const Trace base = run(golden_request());
  OverrideLogitsHook none;
  none.bias = {{3, 0.0}};
  const Trace same = run(with_hooks({none}));
  EXPECT_LT(difference(base, same), 1e-5);
  OverrideLogitsHook large;
  large.bias = {{3, 100.0}};
  const Trace pushed = run(with_hooks({large}));
  for (std::size_t t = 0; t < tokens; ++t) {
    EXPECT_EQ(chosen(pushed, 0, t)[0], 3U);
    EXPECT_NEAR(pushed.segments[0]->gate_weights.at(t * k), 1.0F, 1e-6);
  }
  // What is recorded as logits is what the model said.
  EXPECT_NEAR(pushed.segments[0]->router_logits.at(3), base.segments[0]->router_logits.at(3), 1e-6);
}

TEST_F(EngineHooks, CapacityDropsLaterTokensFirst) {
  const Trace base = run(golden_request());
  const Trace tight = run(with_hooks({CapacityHook{0, 0.5}}));
  const auto dropped = floats(tight.segments[0]->slot_values.at("dropped"));
  const std::size_t room = 2;  // ceil(0.5 · 10 · 3 / 8)
  std::vector<std::size_t> used(experts, 0);
  std::size_t drops = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    EXPECT_EQ(chosen(tight, 0, t), chosen(base, 0, t));
    for (std::size_t j = 0; j < k; ++j) {
      const bool late = used[chosen(base, 0, t)[j]]++ >= room;
      EXPECT_EQ(dropped[t * k + j], late ? 1.0F : 0.0F) << t << " " << j;
      drops += late ? 1U : 0U;
    }
  }
  EXPECT_GT(drops, 0U);
  EXPECT_GT(difference(base, tight), 1e-4);
  EXPECT_EQ(difference(base, run(with_hooks({CapacityHook{-1, 100.0}}))), 0.0);
}

TEST_F(EngineHooks, CapacityZeroIsTheSkippedBlock) {
  const Trace none = run(with_hooks({CapacityHook{1, 0.0}}));
  EXPECT_LT(difference(none, run(with_hooks({SkipLayerHook{1}}))), 1e-6);
}

TEST_F(EngineHooks, TheModelsOwnFamilyChangesNothing) {
  const Trace base = run(golden_request());
  const Trace own = run(with_hooks({ReplaceRouterHook{-1, "model", nlohmann::json::object()}}));
  EXPECT_LT(difference(base, own), 1e-5);
  for (std::size_t t = 0; t < tokens; ++t) EXPECT_EQ(chosen(base, 1, t), chosen(own, 1, t));
}

TEST_F(EngineHooks, NullExpertsAtTwiceKEqualRenormalisedTopK) {
  const Trace nulls = run(with_hooks({ReplaceRouterHook{-1, "null_experts", {{"nulls", 8}, {"k", 6}}}}));
  const Trace plain = run(with_hooks({ReplaceRouterHook{-1, "softmax_top_k", {{"renormalise", true}}}}));
  EXPECT_LT(difference(nulls, plain), 1e-5);
  EXPECT_EQ(nulls.rows()[0].experts, 16U);
  EXPECT_EQ(nulls.rows()[0].null_experts, 8U);
  EXPECT_EQ(nulls.segments[0]->slots, 6U);
}

TEST_F(EngineHooks, TopPOfOneLayerUsesAsManyExpertsAsItNeeds) {
  const Trace trace = run(with_hooks({ReplaceRouterHook{1, "top_p", {{"p", 0.4}}}}));
  const Segment& segment = *trace.segments[0];
  for (std::size_t t = 0; t < tokens; ++t) {
    EXPECT_EQ(segment.used_at(0, t), k);
    const std::size_t used = segment.filled(1, t);
    ASSERT_GE(used, 1U);
    double sum = 0;
    for (std::size_t j = 0; j < used; ++j) {
      EXPECT_LE(sum, 0.4);
      sum += static_cast<double>(segment.gate_weights.at((tokens + t) * segment.slots + j));
    }
    EXPECT_GT(sum, 0.4);
  }
}

TEST_F(EngineHooks, ExpertChoiceRecordsWhoWasChosenByNobody) {
  const Trace trace = run(with_hooks({ReplaceRouterHook{-1, "expert_choice", {{"capacity", 0.5}, {"k", 1}}}}));
  EXPECT_TRUE(trace.info->expert_choice);
  const Segment& segment = *trace.segments[0];
  std::vector<std::size_t> load(experts, 0);
  std::size_t nobody = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    if (segment.used_at(0, t) == used_code::dropped) ++nobody;
    for (const std::uint32_t e : chosen(trace, 0, t)) ++load[e];
  }
  EXPECT_THAT(load, Each(1U));  // ceil(0.5 · 10 · 1 / 8)
  EXPECT_GT(nobody, 0U);
}

TEST_F(EngineHooks, TheTraceNamesTheHooks) {
  const Trace trace = run(with_hooks({SkipLayerHook{0}}));
  EXPECT_THAT(trace.info->source_notes, ::testing::HasSubstr("skip_layer"));
}

}  // namespace
}  // namespace moescope::engine_hooks_test
