// What the engine's tests share: the module loaded once, a folder for their files, runs that give the trace back, and
// the golden values.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/io/safetensors.h"
#include "core/trace/trace_file.h"

namespace moescope::engine_test {

inline const std::string golden_folder = std::string(MOESCOPE_TEST_DATA) + "/golden/olmoe";

template <typename T>
std::vector<T> values_of(const TensorView& view) {
  std::vector<T> out(view.bytes.size() / sizeof(T));
  std::memcpy(out.data(), view.bytes.data(), out.size() * sizeof(T));
  return out;
}

// Expected values of the golden model.
class Golden {
 public:
  Golden() : file_(read_safetensors(golden_folder + "/expected.safetensors").value()) {}
  template <typename T = float>
  [[nodiscard]] std::vector<T> get(const std::string& name) const {
    const TensorView* view = file_.find(name);
    EXPECT_NE(view, nullptr) << name;
    return view ? values_of<T>(*view) : std::vector<T>();
  }
  [[nodiscard]] std::vector<std::int32_t> ids() const {
    const std::vector<std::int64_t> wide = get<std::int64_t>("input_ids");
    return {wide.begin(), wide.end()};
  }

 private:
  SafetensorsFile file_;
};

class EngineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = load_engine_module();
    ASSERT_TRUE(loaded.has_value()) << loaded.error().text();
    engine_ = *loaded;
  }
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("moescope_engine_" + std::to_string(::getpid()) + "_" +
                                                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The golden prompt on the golden model, everything recorded.
  [[nodiscard]] RunRequest golden_request() const {
    RunRequest request;
    request.checkpoint = golden_folder;
    request.sequences = {{golden_.ids(), "", {}, {}}};
    request.record.router_logits = true;
    request.record.output_logits = true;
    request.device = Device::cpu;
    return request;
  }
  [[nodiscard]] RunRequest with_hooks(std::vector<Hook> hooks) const {
    RunRequest request = golden_request();
    request.hooks = std::move(hooks);
    return request;
  }
  // Runs and opens the trace.
  [[nodiscard]] Trace run(RunRequest request) {
    request.out = (folder_ / ("run" + std::to_string(runs_++) + ".routes.safetensors")).string();
    auto summary = engine_->run(request, WorkContext{});
    EXPECT_TRUE(summary.has_value()) << (summary ? "" : summary.error().text());
    if (!summary) return Trace{};
    summary_ = *summary;
    auto trace = read_trace(request.out);
    EXPECT_TRUE(trace.has_value()) << (trace ? "" : trace.error().text());
    return trace.value_or(Trace{});
  }
  [[nodiscard]] static std::vector<float> floats(const FloatColumn& column) {
    std::vector<float> out(column.size());
    column.read(0, out);
    return out;
  }
  [[nodiscard]] static double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    EXPECT_EQ(a.size(), b.size());
    double most = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    }
    return most;
  }
  [[nodiscard]] static std::vector<float> output_logits(const Trace& trace) {
    return floats(trace.segments.at(0)->output_logits);
  }

  static inline std::shared_ptr<Engine> engine_;
  Golden golden_;
  std::filesystem::path folder_;
  RunSummary summary_;
  int runs_ = 0;
};

}  // namespace moescope::engine_test
