#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/base64.h"
#include "core/io/csv.h"

namespace moescope::text_readers_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::vector<std::string>> all(std::string_view text) {
  CsvReader reader(text, "t.csv");
  std::vector<std::vector<std::string>> out;
  std::vector<std::string> fields;
  for (;;) {
    const auto more = reader.next(fields);
    if (!more) return {{"error", more.error().what, more.error().where}};
    if (!*more) return out;
    out.push_back(fields);
  }
}

TEST(Csv, ReadsQuotesLineEndsAndComments) {
  EXPECT_THAT(all("# c\na,b\r\n\n\"x,\"\"y\"\"\",\"two\nlines\"\n,\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("x,\"y\"", "two\nlines"), ElementsAre("", "")));
  EXPECT_THAT(all("last,line"), ElementsAre(ElementsAre("last", "line")));
}

TEST(Csv, RefusesWhatIsNotCsvWithTheLine) {
  EXPECT_THAT(all("a\nb\"c\n")[0][1], HasSubstr("quote stands inside"));
  EXPECT_EQ(all("a\nb\"c\n")[0][2], "t.csv, line 2");
  EXPECT_THAT(all("\"never")[0][1], HasSubstr("never closed"));
  EXPECT_THAT(all("\"a\"b\n")[0][1], HasSubstr("follows"));
}

TEST(Csv, NumbersAreWholeFields) {
  EXPECT_EQ(whole_number("-12"), -12);
  EXPECT_FALSE(whole_number("12a"));
  EXPECT_FALSE(whole_number(""));
  EXPECT_FALSE(whole_number("99999999999999999999"));
  EXPECT_EQ(real_number("1e-3"), 1e-3);
  EXPECT_FALSE(real_number(" 1"));
}

std::string decoded(std::string_view text) {
  const auto bytes = decode_base64(text);
  if (!bytes) return "refused";
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

TEST(Base64, DecodesTheVectorsOfTheStandard) {
  for (const auto& [text, plain] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg", "foob"}, {"Zm9vYmE=", "fooba"}}) {
    EXPECT_EQ(decoded(text), plain);
  }
  EXPECT_EQ(decoded("_-8="), decoded("/+8="));
}

TEST(Base64, RefusesWhatCannotBe) {
  for (const char* text : {"Z", "Zg=", "Zg==Zg==", "Zm9v!", "=", "Zm9v===="})
    EXPECT_EQ(decoded(text), "refused") << text;
}

}  // namespace
}  // namespace moescope::text_readers_test
