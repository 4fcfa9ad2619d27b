#include "plugins/serving_client/serving_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/trace/import/importer.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/plugins/serving_client/replay_server.h"

namespace moescope::serving_client_test {
namespace {

using fixtures::Replay;
using fixtures::ReplayServer;
using serving::HttpServingClient;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ServingClientTest : public ::testing::Test {
 protected:
  ServingRequest request(const ReplayServer& server, std::vector<std::string> prompts) {
    ServingRequest out;
    out.url = server.url();
    for (std::string& prompt : prompts) out.prompts.push_back({std::move(prompt), {{"domain", "test"}}});
    out.new_tokens = 4;
    out.timeout_seconds = 20;
    out.out = (folder_.path() / "responses.jsonl").string();
    return out;
  }
  std::string kept() const {
    std::ifstream file(folder_.path() / "responses.jsonl");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  bool left_nothing() const { return std::filesystem::is_empty(folder_.path()); }
  fixtures::TemporaryFolder folder_;
  HttpServingClient client_;
};

ImportOptions raw_routes() {
  ImportOptions options;
  options.format = "routed-experts";
  options.k = 2;
  options.layers = 2;
  return options;
}

// Routes and tags of a capture are those that the server told.
void expect_replayed(const Trace& trace, std::size_t tokens) {
  ASSERT_EQ(trace.rows().size(), 1U);
  EXPECT_EQ(trace.rows()[0].layer, 1);
  ASSERT_EQ(trace.token_count(), tokens);
  for (std::size_t t = 0; t < tokens; ++t) {
    const auto place = trace.locate(t);
    const auto position = static_cast<std::uint32_t>(place.segment->positions[place.token]);
    ASSERT_EQ(place.segment->filled(0, place.token), 2U);
    EXPECT_EQ(place.segment->id(0, place.token, 0), position % 8);
    EXPECT_EQ(place.segment->id(0, place.token, 1), (position + 3) % 8);
  }
  EXPECT_THAT(trace.info->tag_names.at("domain"), ElementsAre("test"));
}

TEST_F(ServingClientTest, TwoHundredPromptsWithOneFailingAndOneCutShort) {
  for (const Replay kind : {Replay::sglang, Replay::vllm}) {
    const ReplayServer server(kind);
    std::vector<std::string> prompts;
    std::size_t tokens = 0;
    for (int i = 0; i < 200; ++i) {
      prompts.push_back("prompt " + std::to_string(i));
      if (i == 17) prompts.back() = "please fail";
      if (i == 130) prompts.back() = "cut short";
      if (i != 17 && i != 130) tokens += prompts.back().size() + 3;
    }
    ServingRequest asked = request(server, prompts);
    asked.concurrency = 8;
    const auto report = client_.capture(asked, {});
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(report->server, kind == Replay::sglang ? "SGLang" : "vLLM");
    EXPECT_EQ(report->kept, 198U);
    ASSERT_EQ(report->failures.size(), 2U);
    EXPECT_EQ(report->failures[0].prompt, 17U);
    EXPECT_THAT(report->failures[0].error.text(), HasSubstr("status 500: the scheduler is gone"));
    EXPECT_EQ(report->failures[1].prompt, 130U);
    EXPECT_THAT(report->failures[1].error.text(), HasSubstr("cut off"));
    EXPECT_LE(server.most_at_once(), 8);
    const auto trace = import_trace({asked.out}, raw_routes());
    ASSERT_TRUE(trace) << trace.error().text();
    expect_replayed(*trace, tokens);
  }
}

TEST_F(ServingClientTest, EveryKindOfBadAnswerIsListedWithItsReason) {
  const ReplayServer server(Replay::sglang);
  const auto report = client_.capture(request(server, {"an error", "none", "text", "good"}), {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->kept, 1U);
  ASSERT_EQ(report->failures.size(), 3U);
  EXPECT_THAT(report->failures[0].error.text(), HasSubstr("overloaded"));
  EXPECT_THAT(report->failures[1].error.text(), HasSubstr("--enable-return-routed-experts"));
  EXPECT_THAT(report->failures[2].error.text(), HasSubstr("JSON"));
}

TEST_F(ServingClientTest, WrongShapesAreLeftOutOfTheTraceAndSaidSo) {
  const ReplayServer server(Replay::sglang);
  const ServingRequest asked = request(server, {"shape", "good"});
  const auto report = client_.capture(asked, {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->kept, 2U);
  const auto trace = import_trace({asked.out}, raw_routes());
  ASSERT_TRUE(trace) << trace.error().text();
  expect_replayed(*trace, 7);
  EXPECT_THAT(trace->info->notes, ::testing::Contains(HasSubstr("1 responses were left out")));
}

TEST_F(ServingClientTest, AnswersThatDoNotComeTimeOut) {
  const ReplayServer server(Replay::sglang);
  ServingRequest asked = request(server, {"hang", "good"});
  asked.timeout_seconds = 1;
  const auto report = client_.capture(asked, {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(report->kept, 1U);
  ASSERT_EQ(report->failures.size(), 1U);
  EXPECT_THAT(report->failures[0].error.text(), HasSubstr("in time"));
}

TEST_F(ServingClientTest, ACancelStopsHangingRequestsAndLeavesNoFile) {
  const ReplayServer server(Replay::sglang);
  const WorkContext work;
  std::chrono::steady_clock::time_point cancelled;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    cancelled = std::chrono::steady_clock::now();
    work.cancel.cancel();
  });
  const auto report = client_.capture(request(server, std::vector<std::string>(20, "hang")), work);
  const auto took = std::chrono::steady_clock::now() - cancelled;
  canceller.join();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::cancelled);
  EXPECT_TRUE(left_nothing());
  RecordProperty("cancel_ms", static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
}

TEST_F(ServingClientTest, TheRecorderIsStartedStoppedAndDumped) {
  const ReplayServer server(Replay::sglang);
  ServingRequest asked = request(server, {"good"});
  asked.recorder = true;
  const auto report = client_.capture(asked, {});
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_THAT(server.paths(), ElementsAre("/get_model_info", "/start_expert_distribution_record",
                                          "/stop_expert_distribution_record", "/dump_expert_distribution_record"));
  EXPECT_THAT(report->notes, ElementsAre(HasSubstr("SGLANG_EXPERT_DISTRIBUTION_RECORDER_DIR")));
  const ReplayServer other(Replay::vllm);
  asked.url = other.url();
  EXPECT_FALSE(client_.capture(asked, {}));
}

TEST_F(ServingClientTest, TheKeyComesFromTheEnvironmentAndIsKeptNowhere) {
  const ReplayServer server(Replay::sglang);
  ::setenv("MOESCOPE_API_KEY", "s3cret", 1);
  const auto report = client_.capture(request(server, {"good", "fail"}), {});
  ::unsetenv("MOESCOPE_API_KEY");
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_EQ(server.authorization(), "Bearer s3cret");
  EXPECT_THAT(kept(), Not(HasSubstr("s3cret")));
  EXPECT_THAT(report->failures[0].error.text(), Not(HasSubstr("s3cret")));
}

TEST_F(ServingClientTest, WhatIsNoServerIsRefused) {
  ServingRequest asked;
  asked.prompts.push_back({"x", {}});
  asked.out = (folder_.path() / "r.jsonl").string();
  for (const char* url : {"localhost:1", "http://", "ftp://x", "http://user:secret@host:1"}) {
    asked.url = url;
    const auto report = client_.capture(asked, {});
    ASSERT_FALSE(report) << url;
    EXPECT_EQ(report.error().kind, ErrorKind::usage);
    EXPECT_THAT(report.error().text(), Not(HasSubstr("secret")));
  }
  asked.url = "http://127.0.0.1:1";
  const auto report = client_.capture(asked, {});
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().text(), HasSubstr("no connection"));
  EXPECT_TRUE(left_nothing());
  asked.prompts.clear();
  EXPECT_FALSE(client_.capture(asked, {}));
}

}  // namespace
}  // namespace moescope::serving_client_test
