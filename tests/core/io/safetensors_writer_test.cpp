#include "core/io/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/io/safetensors.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::safetensors_writer_test {
namespace {

using fixtures::TemporaryFolder;
using ::testing::HasSubstr;

std::vector<std::byte> counting(std::size_t n, int from) {
  std::vector<std::byte> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::byte>((from + static_cast<int>(i)) & 0xFF);
  return out;
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::vector<TensorSpec> mixed() {
  return {{"bytes", DType::u8, {7}},     {"doubles", DType::f64, {3}}, {"halves", DType::f16, {5, 3}},
          {"whole", DType::f32, {4, 4}}, {"none", DType::i64, {0, 9}}, {"scalar", DType::i32, {}}};
}

Expected<void> write_mixed(const std::filesystem::path& path, TensorAlignment alignment) {
  auto writer = SafetensorsWriter::create(path, mixed(), {{"format", "pt"}, {"note", "ü \"quoted\""}}, alignment);
  if (!writer) return fail(writer.error());
  int seed = 0;
  for (const TensorSpec& tensor : mixed()) {
    const auto data = counting(*byte_size(tensor.type, tensor.shape), seed++);
    const std::size_t half = data.size() / 2;
    // One part by appending, one by pieces in the reverse order.
    if (seed % 2 == 0) {
      if (auto w = writer->write(tensor.name, std::span(data).first(half)); !w) return w;
      if (auto w = writer->write(tensor.name, std::span(data).subspan(half)); !w) return w;
    } else {
      if (auto w = writer->write_at(tensor.name, half, std::span(data).subspan(half)); !w) return w;
      if (auto w = writer->write_at(tensor.name, 0, std::span(data).first(half)); !w) return w;
    }
  }
  return writer->finish();
}

TEST(SafetensorsWriter, WhatIsWrittenIsReadAndAligned) {
  for (const auto alignment : {TensorAlignment::by_order, TensorAlignment::by_filler}) {
    const TemporaryFolder folder;
    const auto path = folder.path() / "w.safetensors";
    const auto written = write_mixed(path, alignment);
    ASSERT_TRUE(written) << written.error().text();
    const auto file = read_safetensors(path);
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_EQ(file->metadata.at("note"), "ü \"quoted\"");
    EXPECT_EQ(file->data_offset % 64, 0U);
    int seed = 0;
    for (const TensorSpec& tensor : mixed()) {
      const TensorView* const view = file->find(tensor.name);
      ASSERT_NE(view, nullptr);
      EXPECT_EQ(view->type, tensor.type);
      EXPECT_EQ(view->shape, tensor.shape);
      EXPECT_TRUE(same(view->bytes, counting(*byte_size(tensor.type, tensor.shape), seed++))) << tensor.name;
      const std::uint64_t boundary =
          alignment == TensorAlignment::by_filler ? 64 : static_cast<std::uint64_t>(dtype_bits(tensor.type)) / 8;
      EXPECT_EQ(view->file_offset % boundary, 0U) << tensor.name;
    }
    EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
  }
}

TEST(SafetensorsWriter, NoTensorsMakeAValidFile) {
  const TemporaryFolder folder;
  auto writer = SafetensorsWriter::create(folder.path() / "e", {}, {}).value();
  ASSERT_TRUE(writer.finish());
  EXPECT_TRUE(read_safetensors(folder.path() / "e"));
}

TEST(SafetensorsWriter, UnfinishedFilesNeverAppear) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w";
  {
    auto writer = SafetensorsWriter::create(path, {{"a", DType::u8, {4}}}, {}).value();
    ASSERT_TRUE(writer.write("a", counting(3, 0)));
    EXPECT_TRUE(std::filesystem::exists(writer.part_path()));
    EXPECT_EQ(writer.finish().error().kind, ErrorKind::internal);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SafetensorsWriter, BytesPastATensorAreRefused) {
  const TemporaryFolder folder;
  auto writer = SafetensorsWriter::create(folder.path() / "w", {{"a", DType::u8, {4}}}, {}).value();
  EXPECT_FALSE(writer.write("a", counting(5, 0)));
  EXPECT_FALSE(writer.write_at("a", 3, counting(2, 0)));
  EXPECT_FALSE(writer.write("b", counting(1, 0)));
}

TEST(SafetensorsWriter, BadRequestsAreUsageErrors) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "w";
  const TensorSpec a{"a", DType::u8, {1}};
  EXPECT_EQ(SafetensorsWriter::create(path, {a, a}, {}).error().kind, ErrorKind::usage);
  EXPECT_EQ(SafetensorsWriter::create(path, {{"a", DType::f32, {1ULL << 62U, 8}}}, {}).error().kind, ErrorKind::usage);
  EXPECT_EQ(SafetensorsWriter::create(path, {a}, {{"k", "\xFF"}}).error().kind, ErrorKind::usage);
  EXPECT_EQ(SafetensorsWriter::create(path, {{"pad.0", DType::u8, {1}}}, {}, TensorAlignment::by_filler).error().kind,
            ErrorKind::usage);
  EXPECT_EQ(SafetensorsWriter::create(folder.path() / "no" / "w", {a}, {}).error().kind, ErrorKind::input);
}

TEST(OutputFile, WholeFilesComeBackAndLimitsHold) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "text";
  ASSERT_TRUE(write_whole_file(path, "first"));
  ASSERT_TRUE(write_whole_file(path, "second"));
  EXPECT_EQ(read_whole_file(path, 6).value(), "second");
  EXPECT_THAT(read_whole_file(path, 5).error().what, HasSubstr("more than"));
}

}  // namespace
}  // namespace moescope::safetensors_writer_test
