#include "core/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/base/hash.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::safetensors_test {
namespace {

using fixtures::safetensors_bytes;
using fixtures::TemporaryFolder;
using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  Expected<SafetensorsFile> read(std::string_view bytes, Truncation truncation = Truncation::refused) const {
    return read_safetensors(folder_.write("t.safetensors", bytes), truncation);
  }
  // What is wrong with a file of this header and data; fails when nothing is.
  std::string problem(std::string_view header, std::string_view data = {}) const {
    return raw_problem(safetensors_bytes(header, data));
  }
  std::string raw_problem(std::string_view bytes) const {
    const auto file = read(bytes);
    if (file) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(file.error().kind, ErrorKind::input);
    EXPECT_THAT(file.error().where, HasSubstr("t.safetensors"));
    EXPECT_FALSE(file.error().advice.empty());
    return file.error().what;
  }
  static std::string entry(std::string_view rest) { return R"({"test":{)" + std::string(rest) + "}}"; }

  TemporaryFolder folder_;
};

std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (const int v : values) out.push_back(static_cast<char>(v));
  return out;
}

TEST_F(Safetensors, ShortFilesAreTooSmall) {
  EXPECT_THAT(raw_problem(""), HasSubstr("header too small"));
  EXPECT_THAT(raw_problem(std::string(7, '\0')), HasSubstr("header too small"));
}

TEST_F(Safetensors, HeaderLongerThanTheFileIsInvalid) {
  EXPECT_THAT(raw_problem(bytes_of({0x3C, 0, 0, 0, 0, 0, 0, 0})), HasSubstr("invalid header length"));
}

TEST_F(Safetensors, HeaderOverTheLimitIsTooLarge) {
  EXPECT_THAT(raw_problem(bytes_of({0x3C, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF}) + "anything"), HasSubstr("header too large"));
  EXPECT_THAT(raw_problem(bytes_of({1, 0xE1, 0xF5, 5, 0, 0, 0, 0})), HasSubstr("header too large"));
}

TEST_F(Safetensors, BadTextIsNotJson) {
  EXPECT_THAT(raw_problem(bytes_of({1, 0, 0, 0, 0, 0, 0, 0, 0xFF})), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(raw_problem(bytes_of({1, 0, 0, 0, 0, 0, 0, 0, '{'})), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(problem(""), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(problem("{\"a\xC3\":{}}"), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(problem("{} x"), HasSubstr("not valid UTF-8 JSON"));
  EXPECT_THAT(problem("\xEF\xBB\xBF{}"), HasSubstr("byte order mark"));
  EXPECT_THAT(problem(std::string("{}\0\0", 4)), HasSubstr("zero byte"));
}

TEST_F(Safetensors, JsonErrorNamesTheByteOfTheFile) {
  const auto file = read(safetensors_bytes("{!"));
  EXPECT_THAT(file.error().where, HasSubstr("byte 9"));
}

TEST_F(Safetensors, PaddedEmptyHeadersAreValid) {
  for (const char* header : {"{}", "{}\r \t\n", "\t\n{}\r "}) {
    const auto file = read(safetensors_bytes(header));
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_TRUE(file->tensors.empty());
  }
}

TEST_F(Safetensors, ScalarAndEmptyTensorsAreValid) {
  const auto scalar = read(safetensors_bytes(entry(R"("dtype":"I32","shape":[],"data_offsets":[0,4])"), "abcd"));
  ASSERT_TRUE(scalar) << scalar.error().text();
  EXPECT_EQ(scalar->tensors[0].elements(), 1U);
  EXPECT_EQ(static_cast<char>(scalar->tensors[0].bytes[3]), 'd');
  const auto empty = read(safetensors_bytes(entry(R"("dtype":"I32","shape":[2,0],"data_offsets":[0,0])")));
  ASSERT_TRUE(empty) << empty.error().text();
  EXPECT_EQ(empty->tensors[0].elements(), 0U);
}

TEST_F(Safetensors, SizesMustFollowFromTypeAndShape) {
  EXPECT_THAT(problem(entry(R"("dtype":"I32","shape":[2,2],"data_offsets":[0,4])"), "abcd"), HasSubstr("invalid info"));
  const std::string good = entry(R"("dtype":"I32","shape":[2,2],"data_offsets":[0,16])");
  EXPECT_THAT(problem(good, std::string(14, 'x')), HasSubstr("incomplete metadata"));
  EXPECT_THAT(problem(good, std::string(16, 'x') + " extra"), HasSubstr("incomplete metadata"));
  EXPECT_TRUE(read(safetensors_bytes(good, std::string(16, 'x'))));
}

TEST_F(Safetensors, SizesMustNotWrap) {
  for (const char* shape : {"[2,18446744073709551614]", "[2,9223372036854775807]", "[4611686018427387904]"}) {
    EXPECT_THAT(
        problem(entry(std::string(R"("dtype":"I32","data_offsets":[0,16],"shape":)") + shape), std::string(16, 'x')),
        HasSubstr("not a number of bytes"));
  }
}

TEST_F(Safetensors, PackedTypesMustFillWholeBytes) {
  EXPECT_THAT(problem(entry(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])"), "a"),
              HasSubstr("not a number of bytes"));
  EXPECT_THAT(problem(entry(R"("dtype":"F6_E2M3","shape":[5],"data_offsets":[0,3])"), "abc"),
              HasSubstr("not a number of bytes"));
  EXPECT_TRUE(read(safetensors_bytes(entry(R"("dtype":"F4","shape":[4],"data_offsets":[0,2])"), "ab")));
}

TEST_F(Safetensors, OverlapsHolesAndReversedOffsetsAreInvalid) {
  std::string overlapping = "{";
  for (int i = 0; i < 10; ++i) {
    overlapping +=
        (i ? "," : "") + ('"' + std::to_string(i)) + R"(":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]})";
  }
  EXPECT_THAT(problem(overlapping + "}", std::string(16, 'x')), HasSubstr("invalid offset"));
  EXPECT_THAT(
      problem(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
          "abc"),
      HasSubstr("invalid offset"));
  EXPECT_THAT(problem(entry(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])"), "ab"), HasSubstr("invalid offset"));
  EXPECT_THAT(problem(entry(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), "a"), HasSubstr("invalid offset"));
}

TEST_F(Safetensors, NumbersMustBeWholeAndFit) {
  for (const char* offsets : {"[-1,3]", "[0,4.0]", "[0,4e0]", "[0,18446744073709551616]", "[0]", "[0,4,4]", "[]",
                              "[\"0\",4]", "[null,4]", "[[0],4]", "[{},4]", "[true,4]", "4", "{}"}) {
    EXPECT_THAT(problem(entry(std::string(R"("dtype":"I32","shape":[],"data_offsets":)") + offsets), "abcd"),
                HasSubstr("data_offsets"));
  }
  for (const char* shape : {"[-1]", "[1.5]", "[18446744073709551616]", "1", "[[1]]"}) {
    EXPECT_THAT(problem(entry(std::string(R"("dtype":"I32","data_offsets":[0,4],"shape":)") + shape), "abcd"),
                HasSubstr("shape"));
  }
}

TEST_F(Safetensors, EntriesMustHaveTheRightFields) {
  EXPECT_THAT(problem(entry(R"("shape":[],"data_offsets":[0,4])"), "abcd"), HasSubstr("dtype is missing"));
  EXPECT_THAT(problem(entry(R"("dtype":"I32","data_offsets":[0,4])"), "abcd"), HasSubstr("shape is missing"));
  EXPECT_THAT(problem(entry(R"("dtype":"I32","shape":[])"), "abcd"), HasSubstr("data_offsets is missing"));
  EXPECT_THAT(problem(entry(R"("dtype":"I33","shape":[],"data_offsets":[0,4])"), "abcd"), HasSubstr("I33"));
  EXPECT_THAT(problem(entry(R"("dtype":4,"shape":[],"data_offsets":[0,4])"), "abcd"), HasSubstr("dtype is a number"));
  EXPECT_THAT(problem(R"({"test":5})"), HasSubstr("an object was expected"));
  EXPECT_THAT(problem("[]"), HasSubstr("an object was expected"));
  EXPECT_THAT(problem("3"), HasSubstr("an object was expected"));
  EXPECT_THAT(problem(R"({"__metadata__":{"a":1}})"), HasSubstr("a string was expected"));
  EXPECT_THAT(problem(R"({"__metadata__":[]})"), HasSubstr("an object was expected"));
}

TEST_F(Safetensors, UnknownFieldsAreIgnored) {
  const auto file = read(safetensors_bytes(
      entry(R"("dtype":"I32","x":{"dtype":[1,{"y":null}],"shape":-3.5},"shape":[],"z":"s","data_offsets":[0,4])"),
      "abcd"));
  EXPECT_TRUE(file) << file.error().text();
}

TEST_F(Safetensors, DuplicatesAreRefused) {
  const std::string one = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const std::string two = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]})";
  EXPECT_THAT(problem("{" + one + "," + two + "}", "ab"), HasSubstr("twice"));
  EXPECT_THAT(problem("{" + one + "," + one + "}", "a"), HasSubstr("twice"));
  EXPECT_THAT(problem(entry(R"("dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1])"), "a"), HasSubstr("twice"));
  EXPECT_THAT(problem(R"({"__metadata__":{"a":"1","a":"2"}})"), HasSubstr("twice"));
  EXPECT_THAT(problem(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("twice"));
}

TEST_F(Safetensors, DeepNestingAndManyDimensionsAreRefused) {
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(problem(R"({"a":{"x":)" + deep), HasSubstr("nested too deeply"));
  std::string shape = "1";
  for (int i = 0; i < 70; ++i) shape += ",1";
  EXPECT_THAT(problem(entry(R"("dtype":"U8","data_offsets":[0,1],"shape":[)" + shape + "]"), "a"),
              HasSubstr("dimensions"));
}

TEST_F(Safetensors, TooManyEntriesAreRefusedEarly) {
  std::string header = "{";
  header.reserve(60'000'000);
  for (std::size_t i = 0; i <= safetensors_limit::tensors; ++i) {
    header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  EXPECT_THAT(problem(header + "}"), HasSubstr("more than 1000000 tensors"));
}

TEST_F(Safetensors, OddNamesAreKeptAsTheyAre) {
  const std::string zero_name("a\0b", 3);
  const std::string long_name(1'000'000, 'n');
  std::string header = R"({"a\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)";
  header += R"("../x/\u0001":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)";
  header += R"("\ud83d\ude00":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)";
  header += '"' + long_name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})";
  const auto file = read(safetensors_bytes(header, "wxyz"));
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_EQ(static_cast<char>(file->find(zero_name)->bytes[0]), 'w');
  EXPECT_EQ(static_cast<char>(file->find("../x/\x01")->bytes[0]), 'x');
  EXPECT_EQ(static_cast<char>(file->find("\xF0\x9F\x98\x80")->bytes[0]), 'y');
  EXPECT_EQ(static_cast<char>(file->find(long_name)->bytes[0]), 'z');
  EXPECT_EQ(file->find("a"), nullptr);
}

TEST_F(Safetensors, UnalignedTensorsAreGivenWhereTheyLie) {
  const std::string header =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}} )";
  const float value = 2.5F;
  std::string data = "x";
  data.append(reinterpret_cast<const char*>(&value), 4);
  const auto file = read(safetensors_bytes(header, data));
  ASSERT_TRUE(file) << file.error().text();
  const TensorView& tensor = *file->find("b");
  float read_back = 0;
  std::memcpy(&read_back, tensor.bytes.data(), 4);
  EXPECT_EQ(read_back, value);
  EXPECT_EQ(tensor.file_offset, 8 + header.size() + 1);
  EXPECT_EQ(tensor.type, DType::f32);
}

TEST_F(Safetensors, MetadataAndHeaderHashAreGiven) {
  const std::string header = R"({"__metadata__":{"format":"pt","n":"ä"}})";
  const auto file = read(safetensors_bytes(header));
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_EQ(file->metadata.at("n"), "ä");
  EXPECT_EQ(file->header_hash, hash_hex(header));
}

TEST_F(Safetensors, TruncationIsToleratedOnlyWhereAllowed) {
  const std::string header =
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},"c":{"dtype":"U8","shape":[4],"data_offsets":[8,12]}})";
  const std::string cut = safetensors_bytes(header, "abcdef");
  EXPECT_THAT(raw_problem(cut), HasSubstr("incomplete metadata"));
  const auto file = read(cut, Truncation::allowed);
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_EQ(file->missing_bytes, 6U);
  EXPECT_EQ(file->find("a")->bytes.size(), 4U);
  EXPECT_EQ(file->find("b")->bytes.size(), 2U);
  EXPECT_EQ(file->find("c")->bytes.size(), 0U);
  EXPECT_FALSE(read(safetensors_bytes(header, "abcdefghijklm"), Truncation::allowed));
}

TEST_F(Safetensors, TruncationWhileMappedIsAFaultOfTheFile) {
  const auto path = folder_.write(
      "t.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1000000],"data_offsets":[0,1000000]}})",
                                         std::string(1'000'000, 'x')));
  const auto file = read_safetensors(path);
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_FALSE(file->fault());
  std::filesystem::resize_file(path, 4096);
  EXPECT_EQ(static_cast<char>(file->find("a")->bytes[900'000]), '\0');
  ASSERT_TRUE(file->fault());
  EXPECT_EQ(file->fault()->where, path.string());
}

TEST_F(Safetensors, TypeNamesComeBack) {
  for (int i = 0; i <= static_cast<int>(DType::f6_e3m2); ++i) {
    const auto type = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(dtype_name(type)), type);
  }
  EXPECT_FALSE(dtype_from_name("f32"));
}

}  // namespace
}  // namespace moescope::safetensors_test
