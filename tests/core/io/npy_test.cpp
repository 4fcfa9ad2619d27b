#include "core/io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace moescope::npy_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string file_of(std::string header, std::string_view data, char version = '\1') {
  header += '\n';
  std::string out("\x93NUMPY", 6);
  out += version;
  out += '\0';
  out += static_cast<char>(header.size() & 0xFFU);
  out += static_cast<char>(header.size() >> 8U);
  if (version != '\1') out += std::string(2, '\0');
  return out + header + std::string(data);
}
Expected<NpyArray> read(const std::string& bytes) {
  return read_npy(std::as_bytes(std::span(bytes.data(), bytes.size())), nullptr, "x.npy");
}
template <typename T>
std::vector<T> values(const NpyArray& array) {
  std::vector<T> out(array.tensor.elements());
  std::memcpy(out.data(), array.tensor.bytes.data(), out.size() * sizeof(T));
  return out;
}

TEST(Npy, ReadsAllVersions) {
  const std::string data("\1\0\2\0", 4);
  for (const char version : {'\1', '\2', '\3'}) {
    // The array lies in the file's own bytes, so these stay.
    const std::string file = file_of("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", data, version);
    const auto array = read(file);
    ASSERT_TRUE(array) << array.error().text();
    EXPECT_THAT(values<std::int16_t>(*array), ElementsAre(1, 2));
  }
}

TEST(Npy, TurnsBigEndianAndFortranOrder) {
  const std::string data("\0\1\0\4\0\2\0\5\0\3\0\6", 12);
  const auto array = read(file_of("{\"descr\": '>u2', 'fortran_order': True, 'shape': (2, 3)}", data));
  ASSERT_TRUE(array) << array.error().text();
  EXPECT_THAT(values<std::uint16_t>(*array), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Npy, ACutOffFileKeepsWholeEntries) {
  const std::string data("\1\2\3\4\5", 5);
  const auto array = read(file_of("{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2)}", data));
  ASSERT_TRUE(array) << array.error().text();
  EXPECT_THAT(array->tensor.shape, ElementsAre(2, 2));
  EXPECT_EQ(array->missing_bytes, 3U);
}

TEST(Npy, RefusesObjectsAndAllThatIsNoLiteral) {
  for (const char* header :
       {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "{'descr': '<i4', 'fortran_order': False}",
        "{'descr': '<i4', 'fortran_order': maybe, 'shape': (1,)}", "{'descr': '<i4', 'descr': '<i4', 'shape': (1,)}",
        "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 9)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)} + __import__('os')", "", "{"}) {
    const auto array = read(file_of(header, "\1\2\3\4"));
    EXPECT_FALSE(array) << header;
  }
  EXPECT_THAT(read(file_of("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "abcd")).error().what,
              HasSubstr("Python objects"));
}

TEST(Npy, WritesHeadersThatItReads) {
  const std::vector<std::uint64_t> shape{3, 4};
  const std::string header = npy_header(DType::i64, shape);
  EXPECT_EQ(header.size() % 64, 0U);
  const auto array = read(header + std::string(96, '\0'));
  ASSERT_TRUE(array) << array.error().text();
  EXPECT_EQ(array->tensor.shape, shape);
  EXPECT_EQ(array->tensor.type, DType::i64);
}

}  // namespace
}  // namespace moescope::npy_test
