// Trace files made tensor by tensor, as another program would write them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/io/safetensors_writer.h"
#include "core/trace/trace_file.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::fixtures {

class TraceFile : public ::testing::Test {
 protected:
  struct Part {
    std::string name;
    DType type;
    std::vector<std::uint64_t> shape;
    std::vector<std::byte> bytes;
  };
  template <typename T>
  static Part part(std::string name, DType type, std::vector<std::uint64_t> shape, const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return {std::move(name), type, std::move(shape), {bytes.begin(), bytes.end()}};
  }
  static std::string metadata(int rows, int experts, const std::string& more = {}) {
    std::string out = R"({"version":1,"rows":[)";
    for (int i = 0; i < rows; ++i) out += (i ? "," : "") + (R"({"experts":)" + std::to_string(experts)) + "}";
    return out + "]" + more + "}";
  }
  Expected<Trace> read(const std::vector<Part>& parts, const std::string& json) const {
    std::vector<TensorSpec> specs;
    for (const Part& p : parts) specs.push_back({p.name, p.type, p.shape});
    auto writer = SafetensorsWriter::create(path_, specs, {{"moescope", json}}).value();
    for (const Part& p : parts) EXPECT_TRUE(writer.write(p.name, p.bytes));
    EXPECT_TRUE(writer.finish());
    return read_trace(path_);
  }
  std::string problem(const std::vector<Part>& parts, const std::string& json) const {
    const auto trace = read(parts, json);
    if (trace) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(trace.error().kind, ErrorKind::input);
    EXPECT_THAT(trace.error().where, ::testing::HasSubstr("t.routes.safetensors"));
    EXPECT_FALSE(trace.error().advice.empty());
    return trace.error().what;
  }
  static Part ids(const std::vector<std::uint8_t>& values, std::uint64_t rows, std::uint64_t tokens,
                  std::uint64_t slots) {
    return part("expert_ids", DType::u8, {rows, tokens, slots}, values);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "t.routes.safetensors";
};

}  // namespace moescope::fixtures
