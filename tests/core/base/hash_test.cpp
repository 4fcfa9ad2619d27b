#include "core/base/hash.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <vector>

namespace moescope::hash_test {
namespace {

TEST(Hash, IsTheKnownXxh3Value) {
  EXPECT_EQ(hash_hex(std::string_view{}), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, OfPiecesEqualsHashOfTheWhole) {
  const std::string text(100'000, 'x');
  Hasher hasher;
  hasher.add(std::string_view(text).substr(0, 777));
  hasher.add(std::string_view(text).substr(777));
  EXPECT_EQ(hasher.hex(), hash_hex(text));
}

TEST(Hash, OfAFileEqualsHashOfItsBytes) {
  const auto path = std::filesystem::temp_directory_path() / ("moescope-hash-" + std::to_string(::getpid()));
  const std::string text(3'000'001, 'y');
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(hash_file(path).value(), hash_hex(text));
  std::filesystem::remove(path);
  EXPECT_EQ(hash_file(path).error().kind, ErrorKind::input);
}

TEST(Hash, FingerprintOfSmallBytesIsTheirHash) {
  const std::string text = "small";
  EXPECT_EQ(fingerprint(std::as_bytes(std::span(text))), hash_hex(text));
}

TEST(Hash, FingerprintOfLargeBytesSeesBothEndsAndTheSize) {
  std::vector<std::byte> data(fingerprint_whole_limit + 5);
  const std::string before = fingerprint(data);
  data.back() = std::byte{1};
  const std::string end_changed = fingerprint(data);
  EXPECT_NE(before, end_changed);
  data.back() = std::byte{0};
  EXPECT_EQ(before, fingerprint(data));
  EXPECT_NE(before, fingerprint(std::span(data).first(data.size() - 1)));
}

}  // namespace
}  // namespace moescope::hash_test
