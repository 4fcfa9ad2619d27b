// What happens when memory runs out, with the failure made here, and products of all experts at once, with a stand-in
// for the device's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "plugins/torch_engine/blocks/grouped.h"
#include "plugins/torch_engine/blocks/less_memory.h"
#include "plugins/torch_engine/blocks/moe.h"
#include "plugins/torch_engine/blocks/router.h"
#include "tests/plugins/torch_engine/blocks_test_tools.h"

namespace moescope::blocks::blocks_memory_test {
namespace {

using blocks_test::difference;
using blocks_test::random;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using torch_engine::run_within_memory;
using torch_engine::SmallerSteps;

Expected<void> given_up(const std::string& failure) {
  return fail(ErrorKind::device, failure);
}

TEST(RunWithinMemory, HalvesBatchesThenStreamsThenGivesUp) {
  std::vector<std::string> steps;
  int halvings = 2, streams = 1;
  const SmallerSteps smaller{[&] { return halvings-- > 0 && (steps.emplace_back("halve"), true); },
                             [&] { return streams-- > 0 && (steps.emplace_back("stream"), true); }};
  const auto out = run_within_memory(
      [&]() -> Expected<void> {
        steps.emplace_back("run");
        throw std::runtime_error("CUDA out of memory. Tried to allocate 2.00 GiB");
      },
      smaller, given_up);
  ASSERT_FALSE(out.has_value());
  EXPECT_THAT(out.error().what, HasSubstr("2.00 GiB"));
  EXPECT_THAT(steps, ElementsAre("run", "halve", "run", "halve", "run", "stream", "run"));
}

TEST(RunWithinMemory, StopsAtTheFirstRunThatFits) {
  int runs = 0;
  const SmallerSteps smaller{[] { return true; }, [] { return ADD_FAILURE() << "streamed too early", false; }};
  const auto out = run_within_memory(
      [&]() -> Expected<void> {
        if (++runs < 4) throw std::bad_alloc();
        return {};
      },
      smaller, given_up);
  EXPECT_TRUE(out.has_value());
  EXPECT_EQ(runs, 4);
}

TEST(RunWithinMemory, OtherFailuresAndErrorsPass) {
  const SmallerSteps never{[] { return ADD_FAILURE() << "tried", false; },
                           [] { return ADD_FAILURE() << "tried", false; }};
  EXPECT_THROW(static_cast<void>(
                   run_within_memory([]() -> Expected<void> { throw std::runtime_error("shape"); }, never, given_up)),
               std::runtime_error);
  const auto error =
      run_within_memory([]() -> Expected<void> { return fail(ErrorKind::input, "bad"); }, never, given_up);
  EXPECT_EQ(error.error().what, "bad");
}

TEST(RunWithinMemory, SaysWhatWouldFitOnADeviceThatIsNamed) {
  ModelSpec spec;
  spec.hidden = 2048;
  spec.heads = spec.kv_heads = 16;
  spec.head_dim = 128;
  spec.layers.assign(2, LayerSpec{.experts = 64, .k = 8, .intermediate = 1024});
  // A layer: 4 · 2048² of attention, 64 · 3 · 2048 · 1024 of experts, router and norms: 419.6e6 numbers. A token: 8
  // slots of (2 · 2048 · 2 + 3 · 1024 · 4) bytes, 16 · 2048 and 12 · 16 · 128: (0.9 · 2³¹ − 0.84e9) / 221184.
  const std::string plain = torch_engine::what_would_fit(spec, 2, "CUDA out of memory");
  EXPECT_THAT(plain, HasSubstr("a layer takes 0.84 GB"));
  EXPECT_THAT(plain, ::testing::Not(HasSubstr("tokens would fit")));
  for (const char* failure : {"CUDA out of memory. GPU 0 has a total capacity of 2.00 GiB of which 5 MiB is free",
                              "Tried to allocate 20.00 MiB (GPU 0; 2.00 GiB total capacity; 1.9 GiB allocated)"}) {
    EXPECT_THAT(torch_engine::what_would_fit(spec, 2, failure), HasSubstr("sequences of up to about 4944 tokens"));
  }
  EXPECT_THAT(torch_engine::what_would_fit(spec, 2, "0.50 GiB total capacity"), HasSubstr("run on the CPU"));
}

std::vector<ExpertWeights> some_experts() {
  std::vector<ExpertWeights> experts(5);
  for (std::size_t e = 0; e < 5; ++e) {
    experts[e].gate_up = random({12, 8}, 100 + e);
    experts[e].down = random({8, 6}, 200 + e);
  }
  return experts;
}

class Grouped : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const ExpertWeights& expert : experts_.loaded) {
      gate_up_.push_back(expert.gate_up);
      down_.push_back(expert.down);
    }
  }
  void TearDown() override { replace_grouped_product({}); }
  at::Tensor outputs() const { return expert_outputs(x_, dispatch_, experts_); }

  at::Tensor x_ = random({9, 8}, 3);
  Dispatch dispatch_ = dispatch_by_expert(route(random({9, 5}, 4, 2.0), RouterRule{}, 2).ids, 5);
  Experts experts_{some_experts()};
  std::vector<at::Tensor> gate_up_, down_;
};

TEST_F(Grouped, ProductsOfAllExpertsAtOnceGiveWhatEachGives) {
  const at::Tensor expected = outputs();
  experts_.all_gate_up = at::stack(gate_up_);
  experts_.all_down = at::stack(down_);
  int calls = 0;
  replace_grouped_product(
      [&](const at::Tensor& rows, const at::Tensor& weights, const std::vector<std::int64_t>& begin) {
        ++calls;
        at::Tensor out = at::zeros({rows.size(0), weights.size(1)});
        for (std::size_t g = 0; g + 1 < begin.size(); ++g) {
          const std::int64_t count = begin[g + 1] - begin[g];
          if (count == 0) continue;
          out.narrow(0, begin[g], count)
              .copy_(at::mm(rows.narrow(0, begin[g], count), weights[static_cast<std::int64_t>(g)].t()));
        }
        return out;
      });
  EXPECT_LT(difference(outputs(), expected), 1e-5);
  EXPECT_EQ(calls, 2);
}

TEST_F(Grouped, WhereTheDeviceRefusesEachExpertIsMultipliedByItself) {
  const at::Tensor expected = outputs();
  experts_.all_gate_up = at::stack(gate_up_);
  experts_.all_down = at::stack(down_);
  replace_grouped_product([](const at::Tensor&, const at::Tensor&, const std::vector<std::int64_t>&) -> at::Tensor {
    throw std::runtime_error("not on this card");
  });
  EXPECT_LT(difference(outputs(), expected), 1e-6);
}

}  // namespace
}  // namespace moescope::blocks::blocks_memory_test
