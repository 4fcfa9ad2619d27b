#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/app/cli/program.h"
#include "tests/app/cli/small_trace.h"

namespace moescope::test::report_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CliReport : public SmallTraceTest {};

TEST_F(CliReport, WritesOneFileThatNeedsNothingElse) {
  const std::string out = folder_.file("r.html");
  const Outcome outcome = run_cli({"report", trace_, "--out", out, "--title", "Small study", "--date", "2024-01-02"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string html = read_text(out);
  EXPECT_THAT(html, AllOf(HasSubstr("Small study"), HasSubstr("<svg"), HasSubstr("2024-01-02"), HasSubstr("</html>")));
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("src=\"http"))));
}

TEST_F(CliReport, TheSameInputGivesTheSameBytes) {
  const auto make = [&](const std::string& name) {
    EXPECT_EQ(run_cli({"report", trace_, "--out", folder_.file(name), "--date", "today"}).code, 0);
    return read_text(folder_.file(name));
  };
  EXPECT_EQ(make("a.html"), make("b.html"));
}

TEST_F(CliReport, WrongSectionsSuffixesAndFilesAreRefused) {
  EXPECT_EQ(run_cli({"report", trace_, "--out", folder_.file("r.html"), "--sections", "gossip"}).code, 1);
  const Outcome pdf = run_cli({"report", trace_, "--out", folder_.file("r.pdf")});
  EXPECT_EQ(pdf.code, 1);
  EXPECT_THAT(pdf.err, HasSubstr("moescope TRACE --report"));
  EXPECT_EQ(run_cli({"report", folder_.file("absent"), "--out", folder_.file("r.html")}).code, 2);
  EXPECT_EQ(run_cli({"report"}).code, 1);
  EXPECT_EQ(run_cli({"report", "--list"}).code, 0);
}

}  // namespace
}  // namespace moescope::test::report_test
