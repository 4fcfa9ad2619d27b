#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "core/trace/selection.h"
#include "core/trace/trace_builder.h"
#include "tests/core/trace/random_trace.h"

namespace moescope::filter_test {
namespace {

using fixtures::random_trace;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Truth = std::function<bool(const Segment&, std::size_t token, std::size_t index)>;

// A random filter as text beside what it means, said once more in plain code.
struct Sample {
  std::string text;
  Truth truth;
};

class Generator {
 public:
  Generator(const Trace& trace, std::uint64_t seed) : trace_(trace), random_(seed) {}

  Sample make(int depth) {
    if (depth == 0 || below(4) == 0) return leaf();
    if (below(4) == 0) {
      const Sample inner = make(depth - 1);
      return {"!(" + inner.text + ")", [inner](auto& s, auto t, auto i) { return !inner.truth(s, t, i); }};
    }
    const Sample a = make(depth - 1);
    const Sample b = make(depth - 1);
    if (below(2) == 0) {
      return {"(" + a.text + ") && " + group(b),
              [a, b](auto& s, auto t, auto i) { return a.truth(s, t, i) && b.truth(s, t, i); }};
    }
    return {"(" + (a.text + " || ") + b.text + ")",
            [a, b](auto& s, auto t, auto i) { return a.truth(s, t, i) || b.truth(s, t, i); }};
  }

 private:
  static std::string group(const Sample& sample) { return "(" + sample.text + ")"; }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  Sample leaf() {
    const int a = static_cast<int>(below(12));
    const int b = a + static_cast<int>(below(12));
    const std::string as = std::to_string(a);
    const std::string bs = std::to_string(b);
    switch (below(9)) {
      case 0:
        return {"position < " + as, [a](auto& s, auto t, auto) { return s.positions[t] < a; }};
      case 1:
        return {"sequence in " + as + ".." + bs,
                [a, b](auto& s, auto t, auto) { return s.sequence_ids[t] >= a && s.sequence_ids[t] <= b; }};
      case 2:
        return {"token in " + as + " .. " + bs, [a, b](auto&, auto, auto i) {
                  return i >= static_cast<std::size_t>(a) && i <= static_cast<std::size_t>(b);
                }};
      case 3:
        return {"domain != \"code\"", [](auto& s, auto t, auto) {
                  const auto code = s.tags.at("domain").codes[t];
                  return code >= 0 && s.tags.at("domain").names[static_cast<std::size_t>(code)] != "code";
                }};
      case 4:
        return {"domain in {'prose', \"math\"}", [](auto& s, auto t, auto) {
                  const auto code = s.tags.at("domain").codes[t];
                  if (code < 0) return false;
                  const std::string& name = s.tags.at("domain").names[static_cast<std::size_t>(code)];
                  return name == "prose" || name == "math";
                }};
      case 5:
        return {"noise >= -0.25", [](auto& s, auto t, auto) { return s.tags.at("noise").numbers[t] >= -0.25F; }};
      case 6:
        return {"loss <= 1.5", [](auto& s, auto t, auto) { return s.token_values.at("loss").at(t) <= 1.5F; }};
      case 7:
        return {"text contains \"t\"",
                [this](auto&, auto, auto i) { return trace_.token_text(i).find('t') != std::string::npos; }};
      default:
        return {"phase == 'decode'", [](auto& s, auto t, auto) { return s.phases[t] == 1; }};
    }
  }

  const Trace& trace_;
  std::mt19937_64 random_;
};

std::size_t count(const Trace& trace, const std::string& text) {
  const auto applied = apply_filter(trace, text);
  EXPECT_TRUE(applied) << applied.error().text();
  return applied ? applied->mask.selected : 0;
}

TEST(Filter, AgreesWithBruteForceOnRandomTracesAndExpressions) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Trace trace =
        random_trace(seed, {.rows = 1, .segments = 1 + seed % 3, .tokens_per_segment = 40 + seed * 7 % 150});
    Generator generator(trace, seed);
    for (int i = 0; i < 10; ++i) {
      const Sample sample = generator.make(4);
      const auto applied = apply_filter(trace, sample.text);
      ASSERT_TRUE(applied) << sample.text << ": " << applied.error().text();
      std::size_t selected = 0;
      for (std::size_t t = 0; t < trace.token_count(); ++t) {
        const auto place = trace.locate(t);
        const bool expected = sample.truth(*place.segment, place.token, t);
        ASSERT_EQ(applied->mask.test(t), expected) << sample.text << " at " << t;
        selected += expected ? 1 : 0;
      }
      EXPECT_EQ(applied->mask.selected, selected);
      EXPECT_EQ(applied->mask.tokens, trace.token_count());
    }
  }
}

TEST(Filter, EmptyTextIsEverything) {
  const Trace trace = random_trace(1);
  for (const char* text : {"", "  \n"}) {
    const auto applied = apply_filter(trace, text);
    ASSERT_TRUE(applied);
    EXPECT_TRUE(applied->mask.all());
    EXPECT_EQ(applied->mask.selected, trace.token_count());
  }
}

TEST(Filter, AndBindsTighterThanOrAndNotTightest) {
  const Trace trace = random_trace(2);
  EXPECT_EQ(count(trace, "token < 3 || token < 10 && token >= 8"), 5U);
  EXPECT_EQ(count(trace, "(token < 3 || token < 10) && token >= 8"), 2U);
  EXPECT_EQ(count(trace, "!token < 3 && token < 5"), 2U);
}

TEST(Filter, LayersChooseRows) {
  const Trace trace = random_trace(3, {.rows = 4});  // layers 0, 2, 4, 6
  const auto some = apply_filter(trace, "layer in 2..5 && token < 4");
  ASSERT_TRUE(some) << some.error().text();
  EXPECT_THAT(some->filter.rows, ElementsAre(1, 2));
  EXPECT_EQ(some->mask.selected, 4U);
  const auto two = apply_filter(trace, "(layer != 0 && domain == \"code\") && layer in {2, 6}");
  ASSERT_TRUE(two) << two.error().text();
  EXPECT_THAT(two->filter.rows, ElementsAre(1, 3));
  const auto only = apply_filter(trace, "layer == 4");
  ASSERT_TRUE(only);
  EXPECT_TRUE(only->mask.all());
  EXPECT_THAT(apply_filter(trace, "layer >= 0")->filter.rows, IsEmpty());
  EXPECT_THAT(apply_filter(trace, "layer == 3").error().advice, HasSubstr("0, 2, 4, 6"));
  EXPECT_THAT(apply_filter(trace, "token < 3 || layer == 2").error().where, HasSubstr("column 14"));
  EXPECT_FALSE(apply_filter(trace, "!(layer == 2)"));
  EXPECT_FALSE(apply_filter(trace, "layer == \"two\""));
}

TEST(Filter, WhatIsNotRecordedOfATokenMatchesNothing) {
  TraceBuilder builder(TraceBuilder::plain_rows(1, 4, 1), 1);
  builder.token({.position = 0});
  builder.tag("domain", "code");
  builder.token_value("loss", 0.1F);
  builder.token();
  builder.tag_number("noise", 0.1F);
  const Trace trace = builder.build("x");
  EXPECT_EQ(count(trace, "domain == 'code'"), 1U);
  EXPECT_EQ(count(trace, "domain != 'code'"), 0U);
  EXPECT_EQ(count(trace, "!(domain == 'code')"), 1U);
  EXPECT_EQ(count(trace, "position >= -5"), 1U);
  EXPECT_EQ(count(trace, "loss != 7"), 1U);
  EXPECT_EQ(count(trace, "loss == 0.1"), 1U);
  EXPECT_EQ(count(trace, "noise == 0.1"), 1U);
  EXPECT_EQ(count(trace, "token.loss in {0.1, 5}"), 1U);
}

TEST(Filter, TextIsThatOfTheToken) {
  const Trace trace = random_trace(4);
  std::size_t expected = 0;
  for (std::size_t t = 0; t < trace.token_count(); ++t) expected += trace.token_text(t) == "été" ? 1 : 0;
  EXPECT_EQ(count(trace, "text == \"été\""), expected);
  EXPECT_EQ(count(trace, "text in {\"\\n\"}") + count(trace, "text != \"\\n\""), trace.token_count());
}

TEST(Filter, UnknownNamesAndValuesListTheKnownOnes) {
  const Trace trace = random_trace(5);
  const auto unknown = apply_filter(trace, "token < 3 && domian == \"code\"");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::usage);
  EXPECT_THAT(unknown.error().what, HasSubstr("domian"));
  EXPECT_THAT(unknown.error().where, HasSubstr("column 14"));
  EXPECT_THAT(unknown.error().advice, HasSubstr("domain, noise"));
  const auto value = apply_filter(trace, "domain == \"cod\"");
  ASSERT_FALSE(value);
  EXPECT_THAT(value.error().advice, HasSubstr("code, math, prose"));
}

TEST(Filter, TermsThatTheTraceDidNotRecordSaySo) {
  TraceBuilder builder(TraceBuilder::plain_rows(1, 4, 1), 1);
  builder.token();
  const Trace trace = builder.build("x");
  for (const char* text :
       {"position < 3", "loss < 3", "text contains \"a\"", "phase == 'decode'", "token.x > 1", "stream == 0"}) {
    const auto applied = apply_filter(trace, text);
    ASSERT_FALSE(applied) << text;
    EXPECT_THAT(applied.error().what, HasSubstr("did not record")) << text;
  }
}

TEST(Filter, ErrorsNameTheColumnAndWhatWasExpected) {
  const Trace trace = random_trace(6);
  const struct {
    const char* text;
    const char* where;
    const char* what;
  } cases[] = {
      {"domain = \"code\"", "column 8", "'='"},
      {"domain ==", "column 10", "expected a number or a text in quotes after == but found the end"},
      {"domain == code", "column 11", "found 'code'"},
      {"domain", "column 7", "expected ==, !=, <, <=, >, >=, in or contains after 'domain' but found the end"},
      {"== 3", "column 1", "expected a name, ! or ( but found '=='"},
      {"token < 3 token > 5", "column 11", "expected && or || but found 'token'"},
      {"(token < 3", "column 11", "expected ) but found the end"},
      {"token in 3", "column 11", "expected .."},
      {"token in 3..", "column 13", "expected the end of the range"},
      {"token in {3", "column 12", "expected , or }"},
      {"token in {3, \"a\"}", "column 14", "not both"},
      {"token in \"a\"", "column 10", "expected a range"},
      {"text contains 3", "column 15", "expected a text in quotes"},
      {"text == \"abc", "column 9", "no closing quote"},
      {"text == \"é\" && domain = 1", "column 23", "'='"},
      {"token < 3 & token > 1", "column 11", "'&'"},
      {"token == \"a\"", "column 1", "'token' is a number"},
      {"domain == 3", "column 1", "'domain' is a text"},
      {"domain < \"a\"", "column 1", "'domain' is a text"},
      {"loss < 1e", "column 8", "not a number"},
      {"loss < 1e999", "column 8", "not a number"},
      {"token < 3)", "column 10", "found ')'"},
  };
  for (const auto& c : cases) {
    const auto applied = apply_filter(trace, c.text);
    ASSERT_FALSE(applied) << c.text;
    EXPECT_EQ(applied.error().kind, ErrorKind::usage) << c.text;
    EXPECT_EQ(applied.error().where, std::string("filter, ") + c.where) << c.text;
    EXPECT_THAT(applied.error().what, HasSubstr(c.what)) << c.text;
    EXPECT_FALSE(applied.error().advice.empty()) << c.text;
  }
}

TEST(Filter, DepthAndLengthAreLimitedButLongChainsAreNot) {
  const Trace trace = random_trace(7);
  EXPECT_THAT(apply_filter(trace, std::string(5000, '(')).error().what, HasSubstr("nested"));
  EXPECT_THAT(apply_filter(trace, std::string(5000, '!')).error().what, HasSubstr("nested"));
  EXPECT_THAT(apply_filter(trace, std::string(200'000, ' ')).error().what, HasSubstr("longer"));
  std::string chain = "token >= 0";
  for (int i = 0; i < 3000; ++i) chain += " && token >= 0";
  EXPECT_EQ(count(trace, chain), trace.token_count());
}

TEST(Filter, RandomTextIsAFilterOrAnError) {
  const Trace trace = random_trace(8, {.rows = 1, .segments = 1, .tokens_per_segment = 5});
  const std::vector<std::string> pieces{"token", "domain", "layer", "text", "in", "contains", "==", "<",  "&&",
                                        "||",    "!",      "(",     ")",    "{",  "}",        ",",  "..", "3",
                                        "-1.5",  "\"a\"",  "'",     "\\",   "é",  "\xFF",     " ",  "."};
  std::mt19937_64 random(9);
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n)
      text += pieces[random() % pieces.size()] + (random() % 2 ? " " : "");
    const auto applied = apply_filter(trace, text);
    if (applied) continue;
    EXPECT_EQ(applied.error().kind, ErrorKind::usage) << text;
  }
}

TEST(FilterTerms, ListWhatTheTraceHas) {
  const auto terms = filter_terms(random_trace(9));
  std::vector<std::string> names;
  for (const FilterTerm& term : terms) names.push_back(term.name + ":" + term.kind);
  EXPECT_THAT(names, ElementsAre("domain:tag", "noise:number", "token:number", "sequence:number", "position:number",
                                 "id:number", "step:number", "text:text", "phase:text", "stream:text", "loss:number",
                                 "uses:function", "layer:number"));
  EXPECT_THAT(terms[0].values, ElementsAre("code", "math", "prose"));
  EXPECT_THAT(terms.back().values, ElementsAre("0", "2", "4"));
  for (const FilterTerm& term : terms) {
    const char* const rest = term.kind == "number" ? " != -7" : term.kind == "function" ? "(0, 1)" : " contains \"e\"";
    EXPECT_TRUE(apply_filter(random_trace(9), term.name + rest)) << term.name;
  }
}

}  // namespace
}  // namespace moescope::filter_test
