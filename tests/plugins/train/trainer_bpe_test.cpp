#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/model/tokenizer.h"
#include "plugins/torch_engine/train/bpe_trainer.h"

namespace moescope::train {
namespace {

std::shared_ptr<const Tokenizer> loaded(const Bpe& bpe, const std::string& name) {
  const auto file = std::filesystem::path(testing::TempDir()) / (name + ".json");
  std::ofstream(file) << tokenizer_json(bpe);
  auto tokenizer = load_tokenizer(file);
  EXPECT_TRUE(tokenizer) << (tokenizer ? "" : tokenizer.error().text());
  return tokenizer ? *tokenizer : nullptr;
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirstAndTiesByTheLowerPair) {
  // "ab" occurs three times, then "abc" twice; "xy" twice ties with it but has the higher ids.
  const auto bpe = train_bpe({{"abc\nabc\nab\nxy\nxy", 1}}, 260);
  ASSERT_TRUE(bpe);
  const auto id = [](char c) { return 1 + static_cast<std::int32_t>(c); };
  EXPECT_THAT(bpe->merges, testing::ElementsAre(std::pair(id('a'), id('b')), std::pair(id('x'), id('y')),
                                                std::pair(Bpe::first_merge, id('c'))));
}

TEST(BpeTrainer, WeightsCountAsRepeats) {
  const auto repeated = train_bpe({{"cats and cats and cats", 1}, {"dogs", 7}}, 264);
  std::string dogs;
  for (int i = 0; i < 7; ++i) dogs += "dogs\n";
  const auto weighted = train_bpe({{"cats and cats and cats", 1}, {dogs, 1}}, 264);
  ASSERT_TRUE(repeated && weighted);
  EXPECT_EQ(repeated->tokens, weighted->tokens);
}

TEST(BpeTrainer, StopsWhenNoPairOccursTwice) {
  const auto bpe = train_bpe({{"abcdef", 1}}, 2000);
  ASSERT_TRUE(bpe);
  EXPECT_EQ(bpe->size(), 257U);
}

TEST(BpeTrainer, FileIsReadByTheLoaderAndGivesTheTextBack) {
  const std::string text = "Größe: l'été, \"naïve\" == 42;\n\tfor (int i = 0; i < 10; ++i) {}\n  The the the €";
  const auto bpe = train_bpe({{text, 3}}, 320);
  ASSERT_TRUE(bpe);
  const auto tokenizer = loaded(*bpe, "bpe_round_trip");
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocabulary_size(), bpe->size());
  const auto encoded = tokenizer->encode(text, false);
  ASSERT_TRUE(encoded);
  EXPECT_LT(encoded->ids.size(), text.size());
  EXPECT_EQ(tokenizer->decode(encoded->ids, false), text);
  for (std::size_t id = 1; id < bpe->size(); ++id) {
    EXPECT_EQ(tokenizer->token_bytes(static_cast<std::int32_t>(id)), bpe->tokens[id]);
  }
}

TEST(BpeTrainer, RefusesTextThatIsNotUtf8) {
  const auto bpe = train_bpe({{"ab\xff\xfe", 1}}, 300);
  ASSERT_FALSE(bpe);
  EXPECT_EQ(bpe.error().kind, ErrorKind::input);
}

}  // namespace
}  // namespace moescope::train
