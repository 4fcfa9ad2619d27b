#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/app/cli/program.h"
#include "tests/app/cli/small_trace.h"

namespace moescope::test::import_test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

const char* const routes =
    "# route_trace v1\n# model=/m/tiny.gguf arch=qwen3moe n_layer=2 n_expert=8 n_expert_used=2\n"
    "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n"
    "0,0,0,0,0,3,0.75,0,9\n0,0,0,0,1,7,0.25,0,9\n0,0,0,1,0,1,0.5,0,9\n0,0,0,1,1,2,0.5,0,9\n"
    "0,0,1,0,0,4,0.75,0,9\n0,0,1,0,1,5,0.25,0,9\n0,0,1,1,0,6,0.5,0,9\n0,0,1,1,1,0,0.5,0,9\n";

class CliImportTest : public testing::Test {
 protected:
  void SetUp() override { write_text(folder_.file("run.csv"), routes); }
  TemporaryFolder folder_;
};

TEST_F(CliImportTest, InfoAnalyzeAndReportTakeForeignTraces) {
  const auto json = nlohmann::json::parse(run_cli({"info", folder_.file("run.csv"), "--json"}).out);
  EXPECT_EQ(json["kind"], "trace");
  EXPECT_EQ(json["rows"].size(), 2U);
  EXPECT_EQ(json["rows"][0]["experts"], 8);
  EXPECT_EQ(json["tokens"], 2);
  EXPECT_THAT(json["known"].get<std::vector<std::string>>(), Contains("gate weights"));
  EXPECT_THAT(json["not_recorded"].get<std::vector<std::string>>(), Contains("text"));
  EXPECT_EQ(json["unavailable"]["expert_tokens"], "did not record token ids");
  const Outcome analysed = run_cli({"analyze", folder_.file("run.csv"), "--analysis", "expert_load"});
  EXPECT_EQ(analysed.code, 0) << analysed.err;
  const Outcome report = run_cli({"report", folder_.file("run.csv"), "--out", folder_.file("r.html")});
  EXPECT_EQ(report.code, 0) << report.err;
}

TEST_F(CliImportTest, AnImportIsATraceFileWithItsNotes) {
  const std::string out = folder_.file("run.routes.safetensors");
  const Outcome outcome = run_cli({"import", folder_.file("run.csv"), "--out", out, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["format"], "bigmoeonedge");
  const auto json = nlohmann::json::parse(run_cli({"info", out, "--json"}).out);
  EXPECT_EQ(json["tokens"], 2);
}

TEST_F(CliImportTest, TheModelNamesLayersAndIsChecked) {
  write_text(folder_.file("config.json"),
             R"({"model_type":"toy","num_hidden_layers":2,"num_experts":8,"num_experts_per_tok":2})");
  const std::string out = folder_.file("run.routes.safetensors");
  ASSERT_EQ(run_cli({"import", folder_.file("run.csv"), "--model", folder_.file("config.json"), "--out", out}).code, 0);
  EXPECT_EQ(run_cli({"import", folder_.file("run.csv"), "--out", out}).code, 1);  // not replaced unasked
  EXPECT_EQ(nlohmann::json::parse(run_cli({"info", out, "--json"}).out)["model"]["family"], "toy");
  write_text(folder_.file("config.json"), R"({"num_hidden_layers":2,"num_experts":16,"num_experts_per_tok":2})");
  const Outcome wrong =
      run_cli({"import", folder_.file("run.csv"), "--model", folder_.file("config.json"), "--out", out, "--force"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("8 experts at layer 0, where 16 were told"));
}

TEST_F(CliImportTest, UnknownAndAmbiguousFilesAreRefusedWithTheChoice) {
  write_text(folder_.file("notes.txt"), "hello");
  const Outcome unknown = run_cli({"import", folder_.file("notes.txt"), "--out", folder_.file("o.routes.safetensors")});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("no importer knows"), HasSubstr("Megatron-LM")));
  const Outcome bad =
      run_cli({"import", folder_.file("run.csv"), "--format", "x", "--out", folder_.file("o.routes.safetensors")});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.err, HasSubstr("sglang-recorder"));
  EXPECT_THAT(run_cli({"import", "--list"}).out, HasSubstr("moe-infinity"));
}

TEST_F(CliImportTest, EveryExportIsReadAgain) {
  const std::string source = folder_.file("run.csv");
  for (const auto& [to, file] : std::vector<std::pair<std::string, std::string>>{{"own", "a.routes.safetensors"},
                                                                                 {"sglang-json", "b.json"},
                                                                                 {"vllm-json", "c.json"},
                                                                                 {"csv", "d.csv"},
                                                                                 {"npz", "e.npz"},
                                                                                 {"exflow-npy", "f.npy"}}) {
    const Outcome outcome = run_cli({"export", source, "--to", to, "--out", folder_.file(file)});
    EXPECT_EQ(outcome.code, 0) << to << outcome.err;
  }
  EXPECT_THAT(read_text(folder_.file("b.json")),
              HasSubstr("{\"logical_count\":[[0,0,0,1,1,1,0,1],[1,1,1,0,0,0,1,0]]}"));
  EXPECT_THAT(read_text(folder_.file("d.csv")), HasSubstr("1,0,1,,1,1,1,0,0.5"));
  for (const char* file : {"a.routes.safetensors", "b.json", "c.json"})
    EXPECT_EQ(run_cli({"info", folder_.file(file)}).code, 0) << file;
  EXPECT_EQ(
      run_cli({"import", folder_.file("f.npy"), "--format", "exflow", "--out", folder_.file("g.routes.safetensors")})
          .code,
      0);
  EXPECT_EQ(run_cli({"export", source, "--to", "parquet", "--out", folder_.file("x")}).code, 1);
}

TEST(CliCaptureServer, ASilentAddressIsOneClearError) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_cli({"capture-server", "http://127.0.0.1:1", "--prompt", "x", "--out", folder.file("t.routes.safetensors")});
  EXPECT_TRUE(outcome.code == 2 || outcome.code == 3) << outcome.code;  // 3: built without the module
  EXPECT_FALSE(std::filesystem::exists(folder.file("t.routes.safetensors")));
}

}  // namespace
}  // namespace moescope::test::import_test
