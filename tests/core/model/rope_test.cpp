#include "core/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace moescope::rope_test {
namespace {

TEST(Rope, MagnitudesOfYarnAreThoseOfTheReference) {
  EXPECT_NEAR(yarn_magnitude(32, 1), 1.3465736, 1e-7);
  EXPECT_NEAR(yarn_magnitude(40, 1), 1.3688879, 1e-7);
  EXPECT_NEAR(std::pow(yarn_magnitude(40, 1), 2), 1.8738542, 1e-6);
  EXPECT_NEAR(yarn_magnitude(40, 0.707), 1.2608038, 1e-7);
  EXPECT_NEAR(std::pow(yarn_magnitude(40, 0.707), 2), 1.5896262, 1e-6);
  EXPECT_EQ(yarn_magnitude(1, 1), 1.0);
}

TEST(Rope, TheRampOfGptOssBeginsAndEndsBetweenNumbers) {
  RopeSpec spec;
  spec.dims = 64;
  spec.theta = 150000;
  const auto [low, high] = yarn_range(spec, 4096);
  EXPECT_NEAR(low, 8.0928, 1e-4);
  EXPECT_NEAR(high, 17.3980, 1e-4);
}

TEST(Rope, PlainFrequenciesFallByTheta) {
  RopeSpec spec;
  spec.dims = 4;
  const RopeFrequencies f = rope_frequencies(spec, 64, 10);
  ASSERT_EQ(f.inverse.size(), 2U);
  EXPECT_FLOAT_EQ(f.inverse[0], 1.0F);
  EXPECT_FLOAT_EQ(f.inverse[1], 0.01F);
  EXPECT_EQ(f.factor, 1.0);
}

TEST(Rope, YarnKeepsFastTurnsAndSlowsSlowOnes) {
  RopeSpec spec;
  spec.dims = 64;
  spec.theta = 150000;
  spec.scaling = RopeSpec::Scaling::yarn;
  spec.factor = 32;
  spec.original_positions = 4096;
  spec.truncate = false;
  const RopeSpec plain{.theta = 150000, .dims = 64};
  const auto scaled = rope_frequencies(spec, 131072, 10), own = rope_frequencies(plain, 131072, 10);
  for (std::size_t i = 0; i <= 8; ++i) EXPECT_FLOAT_EQ(scaled.inverse[i], own.inverse[i]) << i;
  for (std::size_t i = 18; i < 32; ++i) EXPECT_FLOAT_EQ(scaled.inverse[i], own.inverse[i] / 32) << i;
  const double ramp = (12.0 - 8.0928) / (17.3980 - 8.0928);
  EXPECT_NEAR(scaled.inverse[12], own.inverse[12] * (ramp / 32 + 1 - ramp), 1e-7);
  EXPECT_NEAR(scaled.factor, 1.3465736, 1e-7);
  spec.truncate = true;  // whole numbers: 8 to 18
  const double whole = (12.0 - 8.0) / (18.0 - 8.0);
  EXPECT_NEAR(rope_frequencies(spec, 131072, 10).inverse[12], own.inverse[12] * (whole / 32 + 1 - whole), 1e-7);
}

TEST(Rope, YarnsFactorIsTheQuotientOfBothMscales) {
  RopeSpec spec;
  spec.dims = 8;
  spec.scaling = RopeSpec::Scaling::yarn;
  spec.factor = 40;
  spec.original_positions = 4;
  spec.mscale = 1.0;
  spec.mscale_all_dim = 0.707;
  EXPECT_NEAR(rope_frequencies(spec, 160, 10).factor, 1.3688879 / 1.2608038, 1e-6);
  spec.attention_factor = 0.5;
  EXPECT_EQ(rope_frequencies(spec, 160, 10).factor, 0.5);
}

TEST(Rope, LongropeChangesItsFactorsWhenTheLengthPassesTheOriginal) {
  RopeSpec spec;
  spec.dims = 4;
  spec.scaling = RopeSpec::Scaling::longrope;
  spec.original_positions = 16;
  spec.short_factors = {1.0, 2.0};
  spec.long_factors = {4.0, 8.0};
  const auto below = rope_frequencies(spec, 64, 16), above = rope_frequencies(spec, 64, 17);
  EXPECT_FLOAT_EQ(below.inverse[0], 1.0F);
  EXPECT_FLOAT_EQ(below.inverse[1], 0.005F);
  EXPECT_FLOAT_EQ(above.inverse[0], 0.25F);
  EXPECT_FLOAT_EQ(above.inverse[1], 0.00125F);
  EXPECT_NEAR(below.factor, std::sqrt(1 + std::log(4.0) / std::log(16.0)), 1e-12);
  spec.short_mscale = 1.1;
  spec.long_mscale = 1.3;
  EXPECT_EQ(rope_frequencies(spec, 64, 16).factor, 1.1);
  EXPECT_EQ(rope_frequencies(spec, 64, 17).factor, 1.3);
}

TEST(Rope, Llama3LeavesShortWavesAndDividesLongOnes) {
  RopeSpec spec;
  spec.dims = 8;
  spec.theta = 500000;
  spec.scaling = RopeSpec::Scaling::llama3;
  spec.factor = 8;
  spec.original_positions = 256;
  const RopeSpec plain{.theta = 500000, .dims = 8};
  const auto scaled = rope_frequencies(spec, 2048, 10), own = rope_frequencies(plain, 2048, 10);
  EXPECT_FLOAT_EQ(scaled.inverse[0], own.inverse[0]);      // wavelength 6.3 < 256 / 4
  EXPECT_FLOAT_EQ(scaled.inverse[3], own.inverse[3] / 8);  // wavelength 118,000 > 256
  const double wave = 2 * 3.14159265358979 / own.inverse[1], smooth = (256 / wave - 1) / 3;
  EXPECT_NEAR(scaled.inverse[1], (1 - smooth) * own.inverse[1] / 8 + smooth * own.inverse[1], 1e-6);
}

TEST(Rope, DynamicScalingStretchesThetaOnlyBeyondTheModelsLength) {
  RopeSpec spec;
  spec.dims = 8;
  spec.scaling = RopeSpec::Scaling::dynamic;
  spec.factor = 2;
  const auto within = rope_frequencies(spec, 100, 100), beyond = rope_frequencies(spec, 100, 200);
  EXPECT_FLOAT_EQ(within.inverse[1], static_cast<float>(std::pow(10000.0, -0.25)));
  const double theta = 10000.0 * std::pow(2.0 * 200 / 100 - 1.0, 8.0 / 6.0);
  EXPECT_FLOAT_EQ(beyond.inverse[1], static_cast<float>(std::pow(theta, -0.25)));
}

}  // namespace
}  // namespace moescope::rope_test
