#include "core/io/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/io/gguf_bytes.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::gguf_test {
namespace {

using fixtures::GgufBytes;
using fixtures::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Gguf : public ::testing::Test {
 protected:
  Expected<GgufFile> read(const std::string& bytes) const { return read_gguf(folder_.write("t.gguf", bytes)); }
  std::string problem(const std::string& bytes) const {
    const auto file = read(bytes);
    if (file) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(file.error().kind, ErrorKind::input);
    EXPECT_THAT(file.error().where, HasSubstr("t.gguf"));
    EXPECT_FALSE(file.error().advice.empty());
    return file.error().what;
  }
  std::string problem(const GgufBytes& file) const { return problem(file.bytes()); }
  // What is wrong with one metadata value of this type and these bytes.
  std::string value_problem(std::uint32_t type, const std::string& value) const {
    GgufBytes file;
    file.entry("key", type, value);
    return problem(file);
  }
  // What is wrong with one tensor.
  std::string tensor_problem(const std::string& name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                             const std::string& bytes, std::uint64_t offset = 0) const {
    GgufBytes file;
    file.tensor_at(name, dims, type, bytes, offset);
    return problem(file);
  }
  template <typename Number>
  static std::string raw(Number value) {
    return GgufBytes::raw(value);
  }

  TemporaryFolder folder_;
};

TEST_F(Gguf, EveryKindOfValueComesBack) {
  GgufBytes out;
  out.entry("u8", GgufBytes::u8, raw(std::uint8_t{255}));
  out.entry("i8", GgufBytes::i8, raw(std::int8_t{-128}));
  out.entry("u16", GgufBytes::u16, raw(std::uint16_t{65535}));
  out.entry("i16", GgufBytes::i16, raw(std::int16_t{-2}));
  out.add("u32", std::uint32_t{4294967295});
  out.add("i32", std::int32_t{-5});
  out.entry("i64", GgufBytes::i64, raw(std::int64_t{-7}));
  out.entry("u64", GgufBytes::u64, raw(std::uint64_t{7}));
  out.entry("huge", GgufBytes::u64, raw(~std::uint64_t{0}));
  out.add("f32", 1.5F);
  out.entry("f64", GgufBytes::f64, raw(0.1));
  out.add("bool", true);
  out.add("text", "t\xC3\xA4");
  out.add("texts", std::vector<std::string>{"a", "", "b"});
  out.add_numbers("ints", GgufBytes::i32, std::vector<std::int32_t>{1, -1});
  out.add_numbers("floats", GgufBytes::f32, std::vector<float>{0.5F});
  out.add_numbers("bools", GgufBytes::boolean, std::vector<std::uint8_t>{0, 1});
  for (const std::uint32_t version : {2U, 3U}) {
    out.version = version;
    const auto file = read(out.bytes());
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_EQ(file->version, version);
    EXPECT_EQ(file->find("u8")->integer(), 255);
    EXPECT_EQ(file->find("i8")->integer(), -128);
    EXPECT_EQ(file->find("u16")->integer(), 65535);
    EXPECT_EQ(file->find("i16")->integer(), -2);
    EXPECT_EQ(file->find("u32")->integer(), 4294967295);
    EXPECT_EQ(file->find("i32")->integer(), -5);
    EXPECT_EQ(file->find("i64")->integer(), -7);
    EXPECT_EQ(file->find("u64")->integer(), 7);
    EXPECT_FALSE(file->find("huge")->integer());
    EXPECT_EQ(file->find("f32")->real(), 1.5);
    EXPECT_EQ(file->find("f64")->real(), 0.1);
    EXPECT_EQ(file->find("u8")->real(), 255.0);
    EXPECT_EQ(file->find("bool")->boolean(), true);
    EXPECT_EQ(*file->find("text")->text(), "tä");
    EXPECT_THAT(*file->find("texts")->texts(), ElementsAre("a", "", "b"));
    EXPECT_THAT(*file->find("ints")->integers(), ElementsAre(1, -1));
    EXPECT_THAT(*file->find("floats")->reals(), ElementsAre(0.5));
    EXPECT_THAT(*file->find("bools")->booleans(), ElementsAre(false, true));
    EXPECT_FALSE(file->find("text")->integer());
    EXPECT_EQ(file->find("none"), nullptr);
  }
}

TEST_F(Gguf, TensorsHaveTheReversedShapeAndTheirBytes) {
  GgufBytes out;
  out.tensor("a", {3, 2}, 0, std::string(24, 'a'));
  out.tensor("b", {64, 5}, 2, std::string(2 * 5 * 18, 'b'));
  out.tensor("c", {}, 24, "c");
  const auto file = read(out.bytes());
  ASSERT_TRUE(file) << file.error().text();
  ASSERT_EQ(file->tensors.size(), 3U);
  EXPECT_THAT(file->tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(file->tensors[0].type, DType::f32);
  EXPECT_THAT(file->tensors[1].shape, ElementsAre(5, 64));
  EXPECT_EQ(file->tensors[1].type, DType::q4_0);
  EXPECT_EQ(file->tensors[1].bytes.size(), 180U);
  EXPECT_EQ(static_cast<char>(file->tensors[1].bytes[179]), 'b');
  EXPECT_EQ(file->tensors[2].elements(), 1U);
  EXPECT_EQ(file->tensors[2].file_offset % 32, 0U);
}

TEST_F(Gguf, TheAlignmentOfTheFileIsUsed) {
  GgufBytes out;
  out.alignment = 128;
  out.add("general.alignment", std::uint32_t{128});
  out.tensor("a", {1}, 0, "aaaa");
  out.tensor("b", {1}, 0, "bbbb");
  const auto file = read(out.bytes());
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_EQ(file->tensors[1].file_offset - file->tensors[0].file_offset, 128U);
  EXPECT_EQ(static_cast<char>(file->tensors[1].bytes[0]), 'b');
}

TEST_F(Gguf, OtherFilesAndVersionsAreNamed) {
  GgufBytes out;
  out.magic = "GGML";
  EXPECT_THAT(problem(out), HasSubstr("not a GGUF file"));
  EXPECT_THAT(problem(std::string()), HasSubstr("not a GGUF file"));
  out.magic = "GGUF";
  for (const std::uint32_t version : {0U, 1U, 4U, 65537U}) {
    out.version = version;
    EXPECT_THAT(problem(out), HasSubstr("GGUF version"));
  }
  out.version = 0x03000000;
  EXPECT_THAT(problem(out), HasSubstr("endianness"));
}

TEST_F(Gguf, CountsBeyondTheFileAreRefusedBeforeMemoryIsTaken) {
  for (const std::uint64_t count :
       {std::uint64_t{1}, std::uint64_t{1} << 40U, std::uint64_t{1} << 63U, ~std::uint64_t{0}}) {
    GgufBytes tensors;
    tensors.tensor_count = count;
    EXPECT_FALSE(problem(tensors.magic + raw(tensors.version) + raw(count) + raw(std::uint64_t{0})).empty());
    EXPECT_FALSE(problem(tensors.magic + raw(tensors.version) + raw(std::uint64_t{0}) + raw(count)).empty());
  }
}

TEST_F(Gguf, KeysMustBeThereOnceAndNotEmpty) {
  GgufBytes twice;
  twice.add("a", 1.0F);
  twice.add("a", 2.0F);
  EXPECT_THAT(problem(twice), HasSubstr("twice"));
  GgufBytes empty;
  empty.add("", 1.0F);
  EXPECT_THAT(problem(empty), HasSubstr("empty"));
  GgufBytes broken;
  broken.add("\xFF", 1.0F);
  EXPECT_THAT(problem(broken), HasSubstr("UTF-8"));
}

TEST_F(Gguf, ValuesOfUnknownTypesAndLengthsAreRefused) {
  EXPECT_THAT(value_problem(13, raw(std::uint64_t{0})), HasSubstr("unknown type 13"));
  EXPECT_THAT(value_problem(GgufBytes::boolean, raw(std::uint8_t{2})), HasSubstr("neither 0 nor 1"));
  for (const std::uint64_t length : {std::uint64_t{9}, std::uint64_t{1} << 31U, ~std::uint64_t{0}}) {
    EXPECT_THAT(value_problem(GgufBytes::text, raw(length) + "12345678"), HasSubstr("more than the file has"));
    EXPECT_THAT(value_problem(GgufBytes::array, raw(GgufBytes::u8) + raw(length) + "12345678"),
                HasSubstr("more than the file has"));
  }
  // Each text of an array needs the eight bytes of its length.
  EXPECT_THAT(value_problem(GgufBytes::array, raw(GgufBytes::text) + raw(std::uint64_t{3}) + std::string(23, '\0')),
              HasSubstr("more than the file has"));
  EXPECT_THAT(value_problem(GgufBytes::array, raw(GgufBytes::text) + raw(std::uint64_t{1}) + raw(std::uint64_t{1})),
              HasSubstr("more than the file has"));
  EXPECT_THAT(value_problem(GgufBytes::array, raw(GgufBytes::array) + raw(std::uint64_t{0})),
              HasSubstr("holds arrays"));
  EXPECT_THAT(value_problem(GgufBytes::array, raw(std::uint32_t{99}) + raw(std::uint64_t{0})),
              HasSubstr("unknown type"));
  EXPECT_THAT(value_problem(GgufBytes::array, raw(GgufBytes::boolean) + raw(std::uint64_t{1}) + "\x07"),
              HasSubstr("neither 0 nor 1"));
}

TEST_F(Gguf, TheAlignmentMustBeAnUnsignedPowerOfTwo) {
  for (const std::uint32_t value : {0U, 3U, 33U}) {
    GgufBytes out;
    out.add("general.alignment", value);
    EXPECT_THAT(problem(out), HasSubstr("power of two"));
  }
  GgufBytes other_type;
  other_type.add("general.alignment", std::int32_t{32});
  EXPECT_THAT(problem(other_type), HasSubstr("power of two"));
}

TEST_F(Gguf, TensorNamesAreShortAndThereOnce) {
  EXPECT_THAT(tensor_problem(std::string(64, 'n'), {1}, 0, "aaaa"), HasSubstr("longer than 63"));
  EXPECT_THAT(tensor_problem("\xC3", {1}, 0, "aaaa"), HasSubstr("UTF-8"));
  GgufBytes longest;
  longest.tensor(std::string(63, 'n'), {1}, 0, "aaaa");
  EXPECT_TRUE(read(longest.bytes()));
  GgufBytes twice;
  twice.tensor("a", {1}, 0, "aaaa");
  twice.tensor("a", {1}, 0, "aaaa");
  EXPECT_THAT(problem(twice), HasSubstr("twice"));
}

TEST_F(Gguf, DimensionsAreFewAndDoNotOverflow) {
  EXPECT_THAT(tensor_problem("a", {1, 1, 1, 1, 1}, 0, "aaaa"), HasSubstr("5 dimensions"));
  EXPECT_THAT(tensor_problem("a", {std::uint64_t{1} << 63U}, 0, ""), HasSubstr("not a number"));
  EXPECT_THAT(tensor_problem("a", {std::uint64_t{1} << 32U, std::uint64_t{1} << 31U}, 24, ""),
              HasSubstr("not a number"));
  EXPECT_THAT(tensor_problem("a", {std::uint64_t{1} << 62U, 1}, 0, ""), HasSubstr("too large"));
  EXPECT_THAT(tensor_problem("a", {~std::uint64_t{0}, 0}, 0, ""), HasSubstr("not a number"));
}

TEST_F(Gguf, TypesMustBeKnownAndRowsWholeBlocks) {
  for (const std::uint32_t type : {4U, 5U, 31U, 32U, 33U, 36U, 37U, 38U, 1000U, ~0U}) {
    EXPECT_THAT(tensor_problem("a", {32}, type, std::string(64, 'a')), HasSubstr("unknown or removed"));
  }
  EXPECT_THAT(tensor_problem("a", {16, 2}, 2, std::string(18, 'a')), HasSubstr("whole blocks"));
  EXPECT_THAT(tensor_problem("a", {128, 2}, 12, std::string(144, 'a')), HasSubstr("whole blocks"));
  EXPECT_THAT(tensor_problem("a", {}, 2, std::string(18, 'a')), HasSubstr("whole blocks"));
}

TEST_F(Gguf, TensorsFollowEachOtherInsideTheFile) {
  EXPECT_THAT(tensor_problem("a", {1}, 0, "aaaa", 32), HasSubstr("must begin at 0"));
  GgufBytes overlapping;
  overlapping.tensor("a", {16}, 0, std::string(64, 'a'));
  overlapping.tensor_at("b", {1}, 0, "bbbb", 32);
  EXPECT_THAT(problem(overlapping), HasSubstr("must begin at 64"));
  GgufBytes unaligned;
  unaligned.tensor("a", {1}, 0, "aaaa");
  unaligned.tensor_at("b", {1}, 0, "bbbb", 4);
  EXPECT_THAT(problem(unaligned), HasSubstr("must begin at 32"));
  EXPECT_THAT(tensor_problem("a", {1000}, 0, "aaaa"), HasSubstr("outside the file"));
  EXPECT_THAT(tensor_problem("a", {std::uint64_t{1} << 60U}, 0, "aaaa"), HasSubstr("outside the file"));
}

TEST_F(Gguf, EveryCutIsAnError) {
  GgufBytes out;
  out.add("general.architecture", "llama");
  out.add("tokens", std::vector<std::string>{"a", "bc"});
  out.add("flag", true);
  out.tensor("a", {8}, 0, std::string(32, 'a'));
  out.tensor("b", {32}, 8, std::string(34, 'b'));
  const std::string whole = out.bytes();
  const std::size_t used = whole.size() - 30;  // the last tensor's padding
  ASSERT_TRUE(read(whole.substr(0, used)));
  for (std::size_t size = 0; size < used; ++size) EXPECT_FALSE(read(whole.substr(0, size))) << size;
}

TEST_F(Gguf, NoSingleByteMakesATensorLieOutside) {
  GgufBytes out;
  out.add("general.alignment", std::uint32_t{32});
  out.add("tokens", std::vector<std::string>{"a", "bc"});
  out.add_numbers("scores", GgufBytes::f32, std::vector<float>{1, 2});
  out.tensor("a", {4, 2}, 0, std::string(32, 'a'));
  out.tensor("b", {32}, 8, std::string(34, 'b'));
  const std::string whole = out.bytes();
  for (std::size_t at = 0; at < whole.size() - 96; ++at) {
    for (const int value : {0x00, 0x01, 0x09, 0x40, 0x7F, 0x80, 0xFF}) {
      std::string bent = whole;
      bent[at] = static_cast<char>(value);
      const auto file = read(bent);
      if (!file) continue;
      for (const TensorView& view : file->tensors) {
        EXPECT_LE(view.file_offset + view.bytes.size(), bent.size());
        EXPECT_EQ(view.bytes.size(), byte_size(view.type, view.shape));
      }
    }
  }
}

class SplitGguf : public Gguf {
 protected:
  // Part `number` (from 1) of two, with one tensor.
  static GgufBytes part(int number, const std::string& tensor) {
    GgufBytes out;
    out.entry("split.no", GgufBytes::u16, raw(static_cast<std::uint16_t>(number - 1)));
    out.entry("split.count", GgufBytes::u16, raw(std::uint16_t{2}));
    out.add("split.tensors.count", std::int32_t{2});
    if (number == 1) out.add("general.architecture", "llama");
    out.tensor(tensor, {1}, 0, "aaaa");
    return out;
  }
  void write(int number, const GgufBytes& bytes) const {
    paths_[number - 1] = folder_.write("m-0000" + std::to_string(number) + "-of-00002.gguf", bytes.bytes());
  }
  std::string set_problem() const {
    const auto file = read_gguf(paths_[0]);
    if (file) {
      ADD_FAILURE() << "was accepted";
      return {};
    }
    EXPECT_EQ(file.error().kind, ErrorKind::input);
    return file.error().what;
  }
  mutable std::filesystem::path paths_[2];
};

TEST_F(SplitGguf, AllPartsAreOneModelWhicheverIsOpened) {
  write(1, part(1, "a"));
  write(2, part(2, "b"));
  for (const auto& path : paths_) {
    const auto file = read_gguf(path);
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_EQ(file->files.size(), 2U);
    EXPECT_EQ(file->tensors.size(), 2U);
    EXPECT_EQ(*file->find("general.architecture")->text(), "llama");
    EXPECT_EQ(file->tensors[1].file, paths_[1].string());
  }
}

TEST_F(SplitGguf, MissingWrongAndRepeatedPartsAreNamed) {
  write(1, part(1, "a"));
  EXPECT_THAT(set_problem(), HasSubstr("part 2 of 2 is missing"));
  write(2, part(2, "a"));
  EXPECT_THAT(set_problem(), HasSubstr("same tensor"));
  write(2, part(1, "b"));
  EXPECT_THAT(set_problem(), HasSubstr("another part than 2"));
  GgufBytes two = part(2, "b");
  two.tensor("c", {1}, 0, "cccc");
  write(2, two);
  EXPECT_THAT(set_problem(), HasSubstr("3 tensors where 2"));
  const auto renamed = read_gguf(folder_.write("renamed.gguf", part(1, "a").bytes()));
  ASSERT_FALSE(renamed);
  EXPECT_THAT(renamed.error().what, HasSubstr("one of 2 parts"));
}

}  // namespace
}  // namespace moescope::gguf_test
