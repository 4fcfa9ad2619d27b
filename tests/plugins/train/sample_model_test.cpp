// The bundled sample keeps its promises (resources/sample/MODEL_CARD.md): read from its stored traces, so LibTorch is
// not needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "core/analysis/analysis.h"
#include "core/model/checkpoint.h"
#include "core/trace/trace_file.h"
#include "plugins/torch_engine/train/routing_checks.h"

namespace moescope::sample_model_test {
namespace {

const std::filesystem::path sample = std::filesystem::path(MOESCOPE_SOURCE_DIR) / "resources" / "sample";
// Loss of the better unigram model on the held-out text, as moescope-train --evaluate prints it.
constexpr double unigram_loss = 6.4748;

Trace trace_of(const std::filesystem::path& file) {
  auto trace = read_trace(sample / file);
  EXPECT_TRUE(trace) << (trace ? "" : trace.error().text());
  return trace ? std::move(*trace) : Trace{};
}

Result analysed(const Trace& trace, const std::string& name, const nlohmann::json& params) {
  const auto filter = apply_filter(trace, "");
  EXPECT_TRUE(filter);
  auto result = run_analysis(name, trace, *filter, params);
  EXPECT_TRUE(result) << (result ? "" : result.error().text());
  return result ? std::move(*result) : Result{};
}

train::RoutedTokens routed(const Trace& trace) {
  const Segment& segment = *trace.segments.at(0);
  const TagColumn& domain = segment.tags.at("domain");
  train::RoutedTokens out{segment.rows, trace.rows().at(0).experts, segment.slots, {}, {}, {}, domain.names};
  out.ids.assign(segment.ids8.values.begin(), segment.ids8.values.end());
  out.domain.assign(domain.codes.values.begin(), domain.codes.values.end());
  out.sequence.assign(segment.sequence_ids.values.begin(), segment.sequence_ids.values.end());
  return out;
}

TEST(SampleTrace, NoExpertIsStarved) {
  const Result load = analysed(trace_of("held-out.routes.safetensors"), "expert_load", nlohmann::json::object());
  const Matrix* lift = load.matrix("lift");
  ASSERT_NE(lift, nullptr);
  ASSERT_EQ(lift->rows(), 6U);
  EXPECT_GE(*std::min_element(lift->values.begin(), lift->values.end()), 0.25);
}

TEST(SampleTrace, ExpertsKnowTheDomainInAtLeastFourLayers) {
  const Result profile =
      analysed(trace_of("held-out.routes.safetensors"), "domain_profile", {{"tag", "domain"}, {"row", 0}});
  const Series* information = profile.find_series("information");
  const Series* null = profile.find_series("information_null");
  ASSERT_NE(information, nullptr);
  ASSERT_NE(null, nullptr);
  int above = 0;
  for (std::size_t row = 0; row < information->y.size(); ++row) above += information->y[row] > null->high[row] ? 1 : 0;
  EXPECT_GE(above, 4);
}

TEST(SampleTrace, EveryDomainHasAnExpertOfItsOwn) {
  const Trace trace = trace_of("held-out.routes.safetensors");
  std::map<std::string, double> best;
  for (int row = 0; row < 6; ++row) {
    const Result profile = analysed(trace, "domain_profile", {{"tag", "domain"}, {"row", row}});
    const Matrix* lift = profile.matrix("lift");
    const Matrix* share = profile.matrix("share");
    ASSERT_NE(lift, nullptr);
    ASSERT_NE(share, nullptr);
    for (std::size_t e = 0; e < lift->rows(); ++e) {
      for (std::size_t d = 0; d < lift->columns(); ++d) {
        // n of a cell may be the value's slots: the promise is about the slots of this expert.
        const std::size_t cell = e * lift->columns() + d;
        const double value_slots = share->n.size() == share->values.size() ? share->n[cell] : share->n.at(d);
        if (value_slots * share->values[cell] < 200) continue;
        double& known = best[lift->column_names[d]];
        known = std::max(known, lift->values[cell]);
      }
    }
  }
  for (const char* domain : {"prose", "code", "arithmetic", "json", "german", "french"}) {
    EXPECT_GE(best[domain], 2.0) << domain;
  }
}

TEST(SampleTrace, AnalysesAgreeWithDirectCounting) {
  const Trace trace = trace_of("held-out.routes.safetensors");
  const std::vector<train::RowChecks> rows = train::check_rows(routed(trace), 0, 1);
  const Result load = analysed(trace, "expert_load", nlohmann::json::object());
  const Result profile = analysed(trace, "domain_profile", {{"tag", "domain"}, {"row", 0}});
  const Series* information = profile.find_series("information");
  ASSERT_NE(information, nullptr);
  const Matrix* share = load.matrix("share");
  ASSERT_NE(share, nullptr);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto first = share->values.begin() + static_cast<std::ptrdiff_t>(row * share->columns());
    EXPECT_NEAR(*std::min_element(first, first + static_cast<std::ptrdiff_t>(share->columns())), rows[row].min_share,
                1e-12);
    EXPECT_NEAR(information->y[row], rows[row].information, 1e-9);
  }
}

TEST(SampleTrace, LossIsFarBelowTheUnigramModel) {
  const Result loss = analysed(trace_of("held-out.routes.safetensors"), "token_loss", nlohmann::json::object());
  const Scalar* mean = loss.scalar("mean");
  ASSERT_NE(mean, nullptr);
  EXPECT_LE(mean->estimate.value, 0.6 * unigram_loss);
}

TEST(SampleTrace, FiveStepsShareOneTextAndTheLastIsTheModel) {
  const Trace last = trace_of("held-out.routes.safetensors");
  std::vector<std::filesystem::path> steps;
  for (const auto& entry : std::filesystem::directory_iterator(sample / "traces")) steps.push_back(entry.path());
  std::sort(steps.begin(), steps.end());
  ASSERT_EQ(steps.size(), 5U);
  for (const auto& step : steps) {
    const Trace trace = trace_of(step);
    ASSERT_EQ(trace.token_count(), last.token_count()) << step;
    EXPECT_TRUE(std::ranges::equal(trace.segments[0]->token_ids.values, last.segments[0]->token_ids.values)) << step;
    EXPECT_LT(std::filesystem::file_size(step), 1U << 20U) << step;
  }
  // The last step is the model itself.
  EXPECT_TRUE(std::ranges::equal(trace_of(steps.back()).segments[0]->ids8.values, last.segments[0]->ids8.values));
}

TEST(SampleModel, OpensAndItsTokenizerGivesTheTracesTokens) {
  const auto checkpoint = Checkpoint::open(sample / "model");
  ASSERT_TRUE(checkpoint) << checkpoint.error().text();
  EXPECT_EQ((*checkpoint)->spec().layers.size(), 6U);
  EXPECT_LE((*checkpoint)->total_bytes(), 8U << 20U);
  const Tokenizer* tokenizer = (*checkpoint)->tokenizer();
  ASSERT_NE(tokenizer, nullptr);
  const Trace trace = trace_of("held-out.routes.safetensors");
  EXPECT_EQ(trace.info->config_hash, (*checkpoint)->config_hash());
  const auto ids = trace.segments[0]->token_ids.values;
  const auto text = trace.text.values;
  EXPECT_EQ(tokenizer->decode(ids, false), std::string(text.begin(), text.end()));
}

}  // namespace
}  // namespace moescope::sample_model_test
