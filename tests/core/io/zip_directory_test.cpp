#include "core/io/zip_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/io/temporary_folder.h"
#include "tests/core/io/zip_bytes.h"

namespace moescope::zip_directory_test {
namespace {

using fixtures::deflated_part;
using fixtures::stored_part;
using fixtures::TemporaryFolder;
using fixtures::zip_bytes;
using fixtures::ZipEndFields;
using fixtures::ZipPart;
using ::testing::HasSubstr;

class Zip : public ::testing::Test {
 protected:
  Expected<ZipDirectory> read(std::string_view bytes) const {
    return read_zip_directory(folder_.write("t.zip", bytes));
  }
  std::string problem(std::string_view bytes) const {
    const auto zip = read(bytes);
    if (zip) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(zip.error().kind, ErrorKind::input);
    EXPECT_THAT(zip.error().where, HasSubstr("t.zip"));
    EXPECT_FALSE(zip.error().advice.empty());
    return zip.error().what;
  }
  static std::string text(const ZipBytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.bytes.data()), bytes.bytes.size()};
  }
  static std::string content(const ZipDirectory& zip, std::string_view name) {
    const ZipEntry* const entry = zip.find(name);
    if (entry == nullptr) return "(none)";
    const auto read = zip.read(*entry, 1'000'000);
    return read ? text(*read) : read.error().what;
  }

  TemporaryFolder folder_;
};

TEST_F(Zip, StoredAndDeflatedEntriesAreRead) {
  const std::string long_text(5000, 'z');
  const auto zip =
      read(zip_bytes({stored_part("b", "hello"), deflated_part("a/x", long_text), stored_part("empty", "")}));
  ASSERT_TRUE(zip) << zip.error().text();
  EXPECT_EQ(content(*zip, "b"), "hello");
  EXPECT_EQ(content(*zip, "a/x"), long_text);
  EXPECT_EQ(content(*zip, "empty"), "");
  EXPECT_EQ(zip->find("c"), nullptr);
  const auto stored = zip->read(*zip->find("b"), 0);  // no limit applies: nothing is copied
  EXPECT_EQ(stored->bytes.data(), zip->file->bytes().data() + zip->find("b")->offset);
}

TEST_F(Zip, ArchivesOfNumpyAreRead) {
  const std::string folder = std::string(MOESCOPE_TEST_DATA) + "/torch/";
  const auto stored = read_zip_directory(folder + "stored.npz");
  ASSERT_TRUE(stored) << stored.error().text();
  EXPECT_THAT(content(*stored, "a.npy"), HasSubstr("'shape': (2, 3)"));
  const auto packed = read_zip_directory(folder + "deflated.npz");
  ASSERT_TRUE(packed) << packed.error().text();
  EXPECT_EQ(content(*packed, "a.npy").size(), 128U + 40 * 10 * 4);
}

TEST_F(Zip, Zip64FieldsAndACommentAreRead) {
  ZipPart part = stored_part("wide", "content");
  part.wide = true;
  ZipEndFields end;
  end.wide = true;
  end.comment = "a comment";
  const auto zip = read(zip_bytes({part, stored_part("narrow", "x")}, end));
  ASSERT_TRUE(zip) << zip.error().text();
  EXPECT_EQ(content(*zip, "wide"), "content");
  EXPECT_EQ(content(*zip, "narrow"), "x");
}

TEST_F(Zip, AnEmptyArchiveHasNoEntries) {
  const auto zip = read(zip_bytes({}));
  ASSERT_TRUE(zip) << zip.error().text();
  EXPECT_TRUE(zip->entries.empty());
}

TEST_F(Zip, EveryCutIsAnError) {
  const std::string whole = zip_bytes({stored_part("a", "one"), deflated_part("b", "two two two two")});
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(read(whole.substr(0, size))) << size;
  EXPECT_THAT(problem(""), HasSubstr("end of a zip archive was not found"));
}

TEST_F(Zip, NoSingleByteMakesItReadOutside) {
  // Whatever a byte becomes, the outcome is an error or entries inside the file.
  const std::string whole = zip_bytes({stored_part("a", "one"), deflated_part("b", std::string(100, 'q'))});
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string bent = whole;
      bent[at] = static_cast<char>(value);
      const auto zip = read(bent);
      if (!zip) continue;
      for (const ZipEntry& entry : zip->entries) {
        EXPECT_LE(entry.offset + entry.packed, bent.size());
        const auto bytes = zip->read(entry, 1'000'000);
        if (bytes) {
          EXPECT_EQ(bytes->bytes.size(), entry.size);
        }
      }
    }
  }
}

TEST_F(Zip, DuplicatesAreRefused) {
  EXPECT_THAT(problem(zip_bytes({stored_part("a", "1"), stored_part("b", "2"), stored_part("a", "3")})),
              HasSubstr("twice"));
}

TEST_F(Zip, OverlappingEntriesAreRefused) {
  // Two directory entries with one local header: the same bytes counted twice.
  ZipPart first = stored_part("a", "12345678"), second = stored_part("b", "12345678");
  second.local_name = "a";
  second.fixed_header = true;
  second.header_at = 0;
  EXPECT_THAT(problem(zip_bytes({first, second})), HasSubstr("tells otherwise"));
  // A header inside the data of another entry.
  ZipPart inner = stored_part("b", "x");
  const std::string inner_bytes = zip_bytes({inner});
  ZipPart outer = stored_part("a", inner_bytes.substr(0, 32));
  inner.fixed_header = true;
  inner.header_at = 31;
  EXPECT_THAT(problem(zip_bytes({outer, inner})), HasSubstr("over another"));
}

TEST_F(Zip, LyingHeadersAreRefused) {
  ZipPart renamed = stored_part("a", "1");
  renamed.local_name = "z";
  EXPECT_THAT(problem(zip_bytes({renamed})), HasSubstr("tells otherwise"));
  ZipPart longer = stored_part("a", "12");
  longer.size = 3;
  EXPECT_THAT(problem(zip_bytes({longer})), HasSubstr("two sizes"));
  ZipPart away = stored_part("a", "1");
  away.fixed_header = true;
  away.header_at = 1'000'000;
  EXPECT_THAT(problem(zip_bytes({away})), HasSubstr("outside"));
}

TEST_F(Zip, EncryptedAndUnknownPackingIsRefused) {
  ZipPart secret = stored_part("a", "1");
  secret.flags = 1;
  EXPECT_THAT(problem(zip_bytes({secret})), HasSubstr("encrypted"));
  ZipPart other = stored_part("a", "1");
  other.method = 93;
  EXPECT_THAT(problem(zip_bytes({other})), HasSubstr("method 93"));
}

TEST_F(Zip, TheDirectoryMustBeWholeAndOnOneDisk) {
  ZipEndFields disks;
  disks.disk = 1;
  EXPECT_THAT(problem(zip_bytes({stored_part("a", "1")}, disks)), HasSubstr("several disks"));
  ZipEndFields more;
  more.further_entries = 1;
  EXPECT_THAT(problem(zip_bytes({stored_part("a", "1")}, more)), HasSubstr("too short"));
  ZipEndFields fewer;
  fewer.further_entries = -1;
  EXPECT_THAT(problem(zip_bytes({stored_part("a", "1")}, fewer)), HasSubstr("further bytes"));
  ZipEndFields shorter;
  shorter.further_size = -1;
  EXPECT_THAT(problem(zip_bytes({stored_part("a", "1")}, shorter)), HasSubstr("does not end where"));
}

TEST_F(Zip, AnEntryLargerThanTheLimitIsNotInflated) {
  ZipPart bomb = deflated_part("a", std::string(100'000, '\0'));
  const auto zip = read(zip_bytes({bomb}));
  ASSERT_TRUE(zip) << zip.error().text();
  EXPECT_FALSE(zip->read(zip->entries[0], 99'999));
  EXPECT_TRUE(zip->read(zip->entries[0], 100'000));
  // More than deflate can reach, whatever the limit.
  bomb.size = 0xFFFFFFF0;
  const auto lying = read(zip_bytes({bomb}));
  ASSERT_TRUE(lying) << lying.error().text();
  EXPECT_FALSE(lying->read(lying->entries[0], std::uint64_t{1} << 40U));
}

TEST_F(Zip, InflatedBytesMustBeWhatTheDirectorySays) {
  for (const int change : {-1, 1}) {
    ZipPart part = deflated_part("a", "some text, some text");
    part.size = static_cast<std::uint64_t>(static_cast<int>(part.size) + change);
    const auto zip = read(zip_bytes({part}));
    ASSERT_TRUE(zip) << zip.error().text();
    EXPECT_THAT(content(*zip, "a"), HasSubstr("does not unpack"));
  }
  ZipPart part = deflated_part("a", "some text");
  part.crc ^= 1U;
  const auto zip = read(zip_bytes({part}));
  ASSERT_TRUE(zip) << zip.error().text();
  EXPECT_THAT(content(*zip, "a"), HasSubstr("does not unpack"));
}

}  // namespace
}  // namespace moescope::zip_directory_test
