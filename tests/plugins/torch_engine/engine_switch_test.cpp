// An encoder-decoder with experts against a small formulation written from its description: plain loops in double.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <random>

#include "core/io/safetensors_writer.h"
#include "tests/plugins/torch_engine/engine_fixture.h"

namespace moescope::engine_switch_test {
namespace {

using Vector = std::vector<double>;
using Rows = std::vector<Vector>;

// What a router of the formulation did with one token.
struct Choice {
  std::size_t expert = 0;
  double weight = 0;
  bool dropped = false;
  Vector logits;
};

// Hidden 16, 2 heads of 6 (so that heads are not hidden / heads), 2 + 2 layers, 4 experts with room for 5 tokens.
class PlainSwitch {
 public:
  explicit PlainSwitch(const std::string& folder) : file_(read_safetensors(folder + "/model.safetensors").value()) {}

  Rows encode(const std::vector<std::int32_t>& ids) {
    const Rows h = stack("encoder", ids, nullptr);
    memory_ = norm(h, "encoder.final_layer_norm.weight");
    return memory_;
  }
  Rows logits(const std::vector<std::int32_t>& ids) {
    const Rows h = norm(stack("decoder", ids, &memory_), "decoder.final_layer_norm.weight");
    Rows out;
    for (const Vector& row : h) {
      out.push_back(times("shared.weight", row));
      for (double& value : out.back()) value /= std::sqrt(16.0);
    }
    return out;
  }
  std::map<std::string, std::vector<Choice>> choices;  // "encoder.1" -> per token

 private:
  const std::vector<float>& values(const std::string& name) {
    auto& held = values_[name];
    if (held.empty()) held = engine_test::values_of<float>(*file_.find(name));
    return held;
  }
  Vector times(const std::string& name, const Vector& x) {
    const std::vector<float>& w = values(name);
    Vector out(w.size() / x.size(), 0.0);
    for (std::size_t r = 0; r < out.size(); ++r) {
      for (std::size_t c = 0; c < x.size(); ++c) out[r] += static_cast<double>(w[r * x.size() + c]) * x[c];
    }
    return out;
  }
  Rows norm(const Rows& h, const std::string& weight) {
    const std::vector<float>& w = values(weight);
    Rows out = h;
    for (Vector& row : out) {
      double squares = 0;
      for (const double x : row) squares += x * x;
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(row.size()) + 1e-6);
      for (std::size_t i = 0; i < row.size(); ++i) row[i] *= scale * static_cast<double>(w[i]);
    }
    return out;
  }
  // 8 buckets, distances up to 12: both ways 4 of them a side, exact below 2; else 8, exact below 4.
  static std::size_t bucket(bool both, long distance) {
    const long side = both ? 4 : 8, exact = side / 2;
    const long far = both ? std::labs(distance) : std::max(-distance, 0L);
    const long base = both && distance > 0 ? side : 0;
    if (far < exact) return static_cast<std::size_t>(base + far);
    const double part = std::log(static_cast<double>(far) / static_cast<double>(exact)) /
                        std::log(12.0 / static_cast<double>(exact)) * static_cast<double>(side - exact);
    return static_cast<std::size_t>(base + std::min(exact + static_cast<long>(part + 1e-9), side - 1));
  }
  Rows attention(const Rows& x, const Rows& seen, const std::string& name, const std::string& bias, bool causal) {
    Rows q, k, v, out;
    for (const Vector& row : x) q.push_back(times(name + "q.weight", row));
    for (const Vector& row : seen) {
      k.push_back(times(name + "k.weight", row));
      v.push_back(times(name + "v.weight", row));
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      Vector mixed(12, 0.0);
      for (std::size_t head = 0; head < 2; ++head) {
        Vector p(causal ? t + 1 : seen.size(), 0.0);
        double sum = 0;
        for (std::size_t s = 0; s < p.size(); ++s) {
          for (std::size_t d = 0; d < 6; ++d) p[s] += q[t][head * 6 + d] * k[s][head * 6 + d];
          const long distance = static_cast<long>(s) - static_cast<long>(t);
          if (!bias.empty()) p[s] += static_cast<double>(values(bias)[bucket(!causal, distance) * 2 + head]);
          p[s] = std::exp(p[s]);
          sum += p[s];
        }
        for (std::size_t s = 0; s < p.size(); ++s) {
          for (std::size_t d = 0; d < 6; ++d) mixed[head * 6 + d] += p[s] / sum * v[s][head * 6 + d];
        }
      }
      out.push_back(times(name + "o.weight", mixed));
    }
    return out;
  }
  Vector inner(const std::string& name, const Vector& x) {
    Vector h = times(name + "wi.weight", x);
    for (double& value : h) value = std::max(value, 0.0);
    return times(name + "wo.weight", h);
  }
  Rows experts(const std::string& mlp, const std::string& key, const Rows& x) {
    std::vector<std::size_t> used(4, 0);
    Rows out;
    for (const Vector& row : x) {
      Choice choice;
      choice.logits = times(mlp + "router.classifier.weight", row);
      double sum = 0;
      for (const double z : choice.logits) sum += std::exp(z);
      choice.expert = static_cast<std::size_t>(std::max_element(choice.logits.begin(), choice.logits.end()) -
                                               choice.logits.begin());
      choice.weight = std::exp(choice.logits[choice.expert]) / sum;
      choice.dropped = ++used[choice.expert] > 5;
      out.push_back(inner(mlp + "experts.expert_" + std::to_string(choice.expert) + ".", row));
      for (double& value : out.back()) value *= choice.dropped ? 0.0 : choice.weight;
      choices[key].push_back(std::move(choice));
    }
    return out;
  }
  Rows stack(const std::string& name, const std::vector<std::int32_t>& ids, const Rows* memory) {
    const auto add = [](Rows& h, const Rows& more) {
      for (std::size_t t = 0; t < h.size(); ++t) {
        for (std::size_t i = 0; i < h[t].size(); ++i) h[t][i] += more[t][i];
      }
    };
    Rows h;
    const std::vector<float>& table = values("shared.weight");
    for (const std::int32_t id : ids) h.emplace_back(table.begin() + id * 16, table.begin() + (id + 1) * 16);
    for (int l = 0; l < 2; ++l) {
      const std::string block = name + ".block." + std::to_string(l) + ".layer.";
      const Rows x = norm(h, block + "0.layer_norm.weight");
      add(h, attention(x, x, block + "0.SelfAttention.",
                       name + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight", memory != nullptr));
      if (memory) {
        add(h, attention(norm(h, block + "1.layer_norm.weight"), *memory, block + "1.EncDecAttention.", "", false));
      }
      const std::string last = block + (memory ? "2." : "1.");
      const Rows y = norm(h, last + "layer_norm.weight");
      if (l == 1) {
        add(h, experts(last + "mlp.", name + "." + std::to_string(l), y));
        continue;
      }
      Rows dense;
      for (const Vector& row : y) dense.push_back(inner(last + "mlp.", row));
      add(h, dense);
    }
    return h;
  }

  SafetensorsFile file_;
  std::map<std::string, std::vector<float>> values_;
  Rows memory_;
};

// Name and shape of every tensor of that model.
std::vector<TensorSpec> tensors() {
  std::vector<TensorSpec> out;
  const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape) {
    out.push_back({name, DType::f32, std::move(shape)});
  };
  const auto attention = [&](const std::string& prefix) {
    for (const char* part : {"q", "k", "v"}) add(prefix + part + ".weight", {12, 16});
    add(prefix + "o.weight", {16, 12});
  };
  const auto inner = [&](const std::string& prefix) {
    add(prefix + "wi.weight", {24, 16});
    add(prefix + "wo.weight", {16, 24});
  };
  add("shared.weight", {40, 16});
  for (const std::string stack : {"encoder", "decoder"}) {
    add(stack + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight", {8, 2});
    add(stack + ".final_layer_norm.weight", {16});
    for (int l = 0; l < 2; ++l) {
      const std::string block = stack + ".block." + std::to_string(l) + ".layer.";
      const bool decoder = stack == "decoder";
      add(block + "0.layer_norm.weight", {16});
      attention(block + "0.SelfAttention.");
      add(block + "1.layer_norm.weight", {16});
      if (decoder) attention(block + "1.EncDecAttention.");
      if (decoder) add(block + "2.layer_norm.weight", {16});
      const std::string mlp = block + (decoder ? "2.mlp." : "1.mlp.");
      if (l == 0) {
        inner(mlp);
        continue;
      }
      add(mlp + "router.classifier.weight", {4, 16});
      for (int e = 0; e < 4; ++e) inner(mlp + "experts.expert_" + std::to_string(e) + ".");
    }
  }
  return out;
}

class EngineSwitch : public engine_test::EngineTest {
 protected:
  void SetUp() override {
    engine_test::EngineTest::SetUp();
    model_ = folder_ / "switch";
    std::filesystem::create_directories(model_);
    std::ofstream(model_ / "config.json") << R"({"model_type": "switch_transformers", "vocab_size": 40, "d_model": 16,
      "d_kv": 6, "d_ff": 24, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2, "num_sparse_encoder_layers": 1,
      "num_sparse_decoder_layers": 1, "num_experts": 4, "expert_capacity": 5, "relative_attention_num_buckets": 8,
      "relative_attention_max_distance": 12, "feed_forward_proj": "relu", "decoder_start_token_id": 3})";
    std::mt19937 bits(5);
    std::normal_distribution<float> normal;
    auto writer = SafetensorsWriter::create(model_ / "model.safetensors", tensors(), {});
    ASSERT_TRUE(writer.has_value());
    for (const TensorSpec& tensor : tensors()) {
      const bool scale = tensor.shape.size() == 1, router = tensor.name.find("router") != std::string::npos;
      std::uint64_t count = 1;
      for (const std::uint64_t size : tensor.shape) count *= size;
      std::vector<float> values(count);
      for (float& value : values) value = scale ? 1.0F + 0.1F * normal(bits) : (router ? 0.6F : 0.3F) * normal(bits);
      ASSERT_TRUE(writer->write(tensor.name, std::as_bytes(std::span<const float>(values))).has_value());
    }
    ASSERT_TRUE(writer->finish().has_value());
  }

  [[nodiscard]] RunRequest request(std::vector<SequenceInput> sequences) const {
    RunRequest out;
    out.checkpoint = model_.string();
    out.sequences = std::move(sequences);
    out.record.router_logits = true;
    out.record.output_logits = true;
    out.device = Device::cpu;
    return out;
  }
  static SequenceInput sequence(std::vector<std::int32_t> ids, std::vector<std::int32_t> decoder_ids) {
    SequenceInput out;
    out.ids = std::move(ids);
    out.decoder_ids = std::move(decoder_ids);
    return out;
  }
  // Compares the tokens from `first` on, which are one sequence, with the formulation.
  void expect_equal(const Trace& trace, std::size_t first, const SequenceInput& input) const {
    PlainSwitch plain(model_.string());
    plain.encode(input.ids);
    const Rows logits = plain.logits(input.decoder_ids);
    const Segment& segment = *trace.segments.at(0);
    const auto weights = floats(segment.gate_weights), router = floats(segment.router_logits);
    const auto dropped = floats(segment.slot_values.at("dropped"));
    const std::size_t encoder = input.ids.size();
    for (std::size_t row = 0; row < 2; ++row) {
      const std::vector<Choice>& choices = plain.choices.at(row == 0 ? "encoder.1" : "decoder.1");
      const std::size_t begin = first + (row == 0 ? 0 : encoder);
      for (std::size_t t = 0; t < choices.size(); ++t) {
        SCOPED_TRACE(::testing::Message() << "row " << row << " token " << t);
        const std::size_t cell = row * segment.tokens + begin + t;
        EXPECT_EQ(segment.id(row, begin + t, 0), choices[t].expert);
        EXPECT_EQ(segment.used_at(row, begin + t), 1);
        EXPECT_EQ(segment.used_at(1 - row, begin + t), used_code::other_stream);
        EXPECT_NEAR(weights[cell], choices[t].weight, 1e-5);
        EXPECT_EQ(dropped[cell] != 0, choices[t].dropped);
        for (std::size_t e = 0; e < 4; ++e) EXPECT_NEAR(router[cell * 4 + e], choices[t].logits[e], 1e-5);
      }
    }
    const auto output = output_logits(trace);
    for (std::size_t t = 0; t < logits.size(); ++t) {
      for (std::size_t v = 0; v < 40; ++v) EXPECT_NEAR(output[(first + encoder + t) * 40 + v], logits[t][v], 1e-4) << t;
    }
  }
  std::filesystem::path model_;
};

std::vector<std::int32_t> some_ids(std::size_t count, std::int32_t step) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<std::int32_t>(i) * step % 40);
  return out;
}

TEST_F(EngineSwitch, EqualsTheFormulationInBothStacks) {
  // Long enough for the last buckets and for experts that are full.
  const std::vector<SequenceInput> inputs{sequence(some_ids(23, 7), {3, 9, 4, 4, 17, 30, 2, 25, 11, 8, 39, 1, 12, 6}),
                                          sequence({5, 8, 1}, {3, 7}), sequence(some_ids(18, 11), {3, 21, 22, 23})};
  for (const std::uint64_t limit : {std::uint64_t{1} << 30U, std::uint64_t{1}}) {
    RunRequest asked = request(inputs);
    asked.memory_limit = limit;
    const Trace trace = run(asked);
    std::size_t first = 0;
    for (const SequenceInput& input : inputs) {
      expect_equal(trace, first, input);
      first += input.ids.size() + input.decoder_ids.size();
    }
    const auto dropped = floats(trace.segments.at(0)->slot_values.at("dropped"));
    EXPECT_GT(std::count(dropped.begin(), dropped.end(), 1.0F), 3);
  }
}

TEST_F(EngineSwitch, TheTraceTellsTheStacksApart) {
  const Trace trace = run(request({sequence({5, 8, 1}, {3, 7})}));
  ASSERT_EQ(trace.rows().size(), 2U);
  EXPECT_EQ(trace.rows()[0].block, "encoder");
  EXPECT_EQ(trace.rows()[1].block, "decoder");
  EXPECT_EQ(trace.rows()[1].layer, 1);
  EXPECT_THAT(trace.rows()[1].rule, ::testing::HasSubstr("at most 5 tokens per expert and sequence"));
  const Segment& segment = *trace.segments.at(0);
  EXPECT_EQ(trace.info->stream_names, (std::vector<std::string>{"encoder", "decoder"}));
  EXPECT_THAT(std::vector<int>(segment.streams.values.begin(), segment.streams.values.end()),
              ::testing::ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(std::vector<int>(segment.token_ids.values.begin(), segment.token_ids.values.end()),
              ::testing::ElementsAre(5, 8, 1, 3, 7));
  EXPECT_THAT(std::vector<int>(segment.positions.values.begin(), segment.positions.values.end()),
              ::testing::ElementsAre(0, 1, 2, 0, 1));
  const auto loss = floats(segment.token_values.at("loss"));
  for (const std::size_t t : {0U, 1U, 2U, 4U}) EXPECT_TRUE(std::isnan(loss[t])) << t;
  EXPECT_TRUE(std::isfinite(loss[3]));
}

TEST_F(EngineSwitch, WithoutDecoderIdsTheStartTokenAloneIsRun) {
  const Trace trace = run(request({sequence({5, 8, 1}, {})}));
  ASSERT_EQ(trace.token_count(), 4U);
  EXPECT_EQ(trace.segments.at(0)->token_ids[3], 3);
  expect_equal(trace, 0, sequence({5, 8, 1}, {3}));
}

TEST_F(EngineSwitch, WhatItCannotRunIsSaid) {
  RunRequest asked = request({sequence({5, 8}, {3, 40})});
  asked.out = (folder_ / "never.routes.safetensors").string();
  const auto outside = engine_->run(asked, WorkContext{});
  ASSERT_FALSE(outside.has_value());
  EXPECT_THAT(outside.error().where, ::testing::HasSubstr("decoder token 1"));
  asked.sequences = {sequence({5, 8}, {3})};
  asked.generate = GenerateOptions{};
  EXPECT_EQ(engine_->run(asked, WorkContext{}).error().kind, ErrorKind::usage);
  RunRequest other = golden_request();
  other.out = asked.out;
  other.sequences.front().decoder_ids = {1};
  EXPECT_EQ(engine_->run(other, WorkContext{}).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace moescope::engine_switch_test
