// TorchScript modules made here, captured through the engine module: the routers that are found or named give what the
// same arithmetic gives beside it.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <filesystem>

#include "core/engine/engine.h"
#include "core/trace/trace_file.h"

namespace moescope::script_capture_test {
namespace {

namespace fs = std::filesystem;
namespace jit = torch::jit;
using ::testing::Contains;
using ::testing::HasSubstr;

class ScriptCapture : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = load_engine_module();
    ASSERT_TRUE(loaded.has_value()) << loaded.error().text();
    engine_ = *loaded;
  }
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("moescope_script_" + std::to_string(::getpid()) + "_" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
    at::manual_seed(3);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A gate [experts, 6] as a module of its own.
  static jit::Module gate(const std::string& name, std::int64_t experts) {
    jit::Module module(name);
    module.register_parameter("weight", at::randn({experts, 6}), false);
    module.define("def forward(self, x):\n  return torch.linear(x, self.weight)\n");
    return module;
  }
  // A table of 10 tokens and two layers with a gate each; `body` is the forward pass.
  fs::path module(const std::string& body, std::int64_t experts = 5) {
    jit::Module whole("whole");
    table_ = at::randn({10, 6});
    whole.register_parameter("table", table_, false);
    jit::Module layers("layers");
    for (const char* number : {"0", "1"}) {
      jit::Module layer(std::string("layer") + number);
      const jit::Module own = gate(std::string("gate") + number, experts);
      gates_.push_back(own.attr("weight").toTensor());
      layer.register_module("gate", own);
      layers.register_module(std::string("l") + number, layer);
    }
    whole.register_module("layers", layers);
    whole.define(body);
    const fs::path file = folder_ / "module.pt";
    whole.save(file.string());
    return file;
  }
  [[nodiscard]] RunRequest request(const fs::path& file) const {
    RunRequest out;
    out.checkpoint = file.string();
    out.sequences = {{{1, 7, 2, 9}, "", {}, {}}, {{4, 4}, "", {}, {}}};
    out.record.router_logits = true;
    out.script = ScriptOptions{};
    out.out = (folder_ / "run.routes.safetensors").string();
    return out;
  }
  Trace run(const RunRequest& asked) {
    const auto summary = engine_->run(asked, WorkContext{});
    EXPECT_TRUE(summary.has_value()) << (summary ? "" : summary.error().text());
    if (!summary) return {};
    auto trace = read_trace(asked.out);
    EXPECT_TRUE(trace.has_value()) << (trace ? "" : trace.error().text());
    return trace.value_or(Trace{});
  }
  // The hidden rows of the tokens of request().
  [[nodiscard]] at::Tensor hidden() const {
    return at::index_select(table_, 0, at::tensor({1, 7, 2, 9, 4, 4}, at::kLong));
  }
  static void expect_choice(const Trace& trace, std::size_t row, const at::Tensor& logits, std::int64_t k,
                            const at::Tensor& weights) {
    const Segment& segment = *trace.segments.at(0);
    const auto [values, ids] = at::topk(logits, k, -1);
    for (std::int64_t t = 0; t < logits.size(0); ++t) {
      const auto token = static_cast<std::size_t>(t);
      for (std::int64_t j = 0; j < k; ++j) {
        EXPECT_EQ(segment.id(row, token, static_cast<std::size_t>(j)),
                  static_cast<std::uint32_t>(ids[t][j].item<std::int64_t>()));
        if (!weights.defined()) continue;
        const std::size_t cell = (row * segment.tokens + token) * segment.slots + static_cast<std::size_t>(j);
        EXPECT_NEAR(segment.gate_weights.at(cell), weights[t][ids[t][j].item<std::int64_t>()].item<float>(), 1e-6);
      }
      for (std::int64_t e = 0; e < logits.size(1); ++e) {
        const std::size_t cell = (row * segment.tokens + token) * segment.logit_width + static_cast<std::size_t>(e);
        EXPECT_NEAR(segment.router_logits.at(cell), logits[t][e].item<float>(), 1e-5);
      }
    }
  }

  static inline std::shared_ptr<Engine> engine_;
  fs::path folder_;
  at::Tensor table_;
  std::vector<at::Tensor> gates_;
};

// Softmax, then the best two, in each layer; the second layer sees what the first one added.
constexpr const char* two_layers = R"JIT(
def forward(self, ids):
  x = self.table[ids]
  p = torch.softmax(self.layers.l0.gate.forward(x), -1)
  w, e = torch.topk(p, 2, -1)
  x = x + w.sum(-1, keepdim=True)
  q = torch.sigmoid(self.layers.l1.gate.forward(x).view(-1, 5))
  v, f = torch.topk(q, 2, -1)
  return x, v.sum(), e, f
)JIT";

TEST_F(ScriptCapture, FindsRoutersByTheirTopKAndRecordsWhatTheyChose) {
  const RunRequest asked = request(module(two_layers));
  const Trace trace = run(asked);
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[0].experts, 5U);
  EXPECT_EQ(trace.rows()[0].k, 2U);
  EXPECT_EQ(trace.rows()[0].rule, "softmax of layers.l0.gate, then the best 2");
  EXPECT_EQ(trace.rows()[1].rule, "sigmoid of layers.l1.gate, then the best 2");
  EXPECT_FALSE(trace.info->approximate.has_value());
  ASSERT_EQ(trace.token_count(), 6U);
  const at::Tensor x = hidden(), first = at::linear(x, gates_[0]), p = at::softmax(first, -1);
  expect_choice(trace, 0, first, 2, p);
  const at::Tensor next = x + std::get<0>(at::topk(p, 2, -1)).sum(-1, true), second = at::linear(next, gates_[1]);
  expect_choice(trace, 1, second, 2, at::sigmoid(second));
}

TEST_F(ScriptCapture, SaysWhatAModuleHasWithoutRunningIt) {
  RunRequest asked = request(module(two_layers));
  asked.script->inspect = true;
  const auto summary = engine_->run(asked, WorkContext{});
  ASSERT_TRUE(summary.has_value()) << summary.error().text();
  EXPECT_THAT(summary->notes, Contains(HasSubstr("forward(ids: Tensor)")));
  EXPECT_THAT(summary->notes, Contains("router layers.l1.gate: 5 experts, sigmoid of layers.l1.gate, then the best 2"));
  EXPECT_FALSE(fs::exists(asked.out));
}

TEST_F(ScriptCapture, ANamedModuleWithoutAChoiceNeedsTheNumberOfExperts) {
  RunRequest asked = request(module(R"JIT(
def forward(self, ids):
  x = self.table[ids]
  p = torch.softmax(self.layers.l0.gate.forward(x), -1)
  return x * p.sum() + self.layers.l1.gate.forward(x).sum()
)JIT"));
  EXPECT_THAT(engine_->run(asked, WorkContext{}).error().text(), HasSubstr("layers.l0.gate"));
  asked.script->routers = {"layers.l0.gate"};
  const auto lacking = engine_->run(asked, WorkContext{});
  ASSERT_FALSE(lacking.has_value());
  EXPECT_EQ(lacking.error().kind, ErrorKind::usage);
  asked.script->experts_per_token = 3;
  const Trace trace = run(asked);
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_TRUE(trace.info->approximate.has_value());
  EXPECT_TRUE(trace.segments.at(0)->gate_weights.empty());
  expect_choice(trace, 0, at::linear(hidden(), gates_[0]), 3, {});
}

TEST_F(ScriptCapture, WhatIsNoScriptOrHasNoRouterIsAnError) {
  RunRequest asked = request(module(two_layers));
  asked.script->routers = {"layers.l9.gate"};
  const auto unknown = engine_->run(asked, WorkContext{});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().text(), HasSubstr("layers.l1.gate"));
  asked = request(std::string(MOESCOPE_TEST_DATA) + "/torch/state_dict.pt");
  EXPECT_EQ(engine_->run(asked, WorkContext{}).error().kind, ErrorKind::input);
  asked = request(module("def forward(self, ids):\n  assert False, 'never'\n  return ids\n"));
  EXPECT_EQ(engine_->run(asked, WorkContext{}).error().kind, ErrorKind::input);
  EXPECT_FALSE(fs::exists(asked.out));
}

}  // namespace
}  // namespace moescope::script_capture_test
