#include "core/io/unpickler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <string>

namespace moescope::unpickler_test {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

// One storage "0" of six float32 numbers.
const std::array<float, 6> numbers{0, 1, 2, 3, 4, 5};

Expected<PickleStorage> storage_of(const std::string& key, std::uint64_t bytes) {
  const auto held = std::as_bytes(std::span(numbers));
  if (key != "0" || bytes > held.size()) return fail(ErrorKind::input, "no such storage", "test", "None");
  return PickleStorage{held, nullptr, "test", 100};
}

Expected<PickleValue> read(std::string_view pickle) {
  return unpickle(std::as_bytes(std::span(pickle.data(), pickle.size())), "t.pkl", storage_of);
}

std::string problem(std::string_view pickle) {
  const auto value = read(pickle);
  if (value) {
    ADD_FAILURE() << "was accepted";
    return {};
  }
  EXPECT_EQ(value.error().kind, ErrorKind::input);
  EXPECT_FALSE(value.error().where.empty());
  EXPECT_FALSE(value.error().advice.empty());
  return value.error().what;
}

std::string text(std::string_view value) {
  return "\x8C"s + static_cast<char>(value.size()) + std::string(value);
}
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
// A tensor of storage "0" as torch.save writes it; extents as pickled integers.
std::string tensor(const std::string& offset, const std::string& size, const std::string& strides,
                   const std::string& elements = "K\x06") {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", "FloatStorage") +
         text("0") + text("cpu") + elements + "tQ" + offset + size + strides + "\x89" +
         global("collections", "OrderedDict") + ")RtR";
}
const std::string proto2 = "\x80\x02"s;

TEST(Unpickler, ScalarsOfEveryWidthAreRead) {
  const auto value = read(proto2 + "](N\x88\x89K\xFFM\xFF\xFFJ\xFF\xFF\xFF\xFF\x8A\x00\x8A\x05\x00\x00\x00\x00\x01"s +
                          "\x8A\x01\xFFG\x3F\xF8\x00\x00\x00\x00\x00\x00"s + text("ä") + "C\x02\x00\xFF"s + "e.");
  ASSERT_TRUE(value) << value.error().text();
  const PickleList& list = *value->list();
  ASSERT_EQ(list.size(), 12U);
  EXPECT_TRUE(list[0].none());
  EXPECT_TRUE(*list[1].boolean());
  EXPECT_FALSE(*list[2].boolean());
  EXPECT_EQ(*list[3].integer(), 255);
  EXPECT_EQ(*list[4].integer(), 65535);
  EXPECT_EQ(*list[5].integer(), -1);
  EXPECT_EQ(*list[6].integer(), 0);
  EXPECT_EQ(*list[7].integer(), std::int64_t{1} << 32);
  EXPECT_EQ(*list[8].integer(), -1);
  EXPECT_EQ(*list[9].real(), 1.5);
  EXPECT_EQ(*list[10].text(), "ä");
  EXPECT_EQ(*list[11].bytes(), "\x00\xFF"s);
}

TEST(Unpickler, ADictKeepsItsOrderAndFindsByText) {
  const auto value = read(proto2 + "}(" + text("b") + "K\x01" + text("a") + "K\x02u.");
  ASSERT_TRUE(value) << value.error().text();
  EXPECT_EQ(*value->dict()->front().first.text(), "b");
  EXPECT_EQ(*value->find("a")->integer(), 2);
  EXPECT_EQ(value->find("c"), nullptr);
}

TEST(Unpickler, SharedContainersStayOne) {
  const auto value = read(proto2 + "](]q\x01K\x05" + "ah\x01h\x01" + "e.");
  ASSERT_TRUE(value) << value.error().text();
  EXPECT_EQ((*value->list())[0].list(), (*value->list())[2].list());
  EXPECT_EQ(*(*(*value->list())[1].list())[0].integer(), 5);
}

TEST(Unpickler, TensorsAreViewsOfTheirStorage) {
  const auto value = read(proto2 + tensor("K\x01", "K\x02K\x02\x86", "K\x02K\x01\x86") + ".");
  ASSERT_TRUE(value) << value.error().text();
  const StridedTensor& view = *value->tensor();
  EXPECT_THAT(view.view.shape, ::testing::ElementsAre(2, 2));
  EXPECT_EQ(view.view.file_offset, 104U);
  EXPECT_TRUE(view.contiguous());
  EXPECT_THAT(*contiguous_floats(view), ::testing::ElementsAre(1, 2, 3, 4));
  const auto turned = read(proto2 + tensor("K\x00"s, "K\x03K\x02\x86", "K\x01K\x03\x86") + ".");
  EXPECT_FALSE(turned->tensor()->contiguous());
  EXPECT_THAT(*contiguous_floats(*turned->tensor()), ::testing::ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(Unpickler, TensorsOutsideTheirStorageAreRefused) {
  EXPECT_THAT(problem(proto2 + tensor("K\x03", "K\x02K\x02\x86", "K\x02K\x01\x86") + "."), HasSubstr("beyond"));
  EXPECT_THAT(problem(proto2 + tensor("K\x07", "K\x00\x85"s, "K\x01\x85") + "."), HasSubstr("beyond"));
  EXPECT_THAT(problem(proto2 + tensor("J\xFF\xFF\xFF\xFF", "K\x01\x85", "K\x01\x85") + "."), HasSubstr("not made"));
  EXPECT_THAT(problem(proto2 + tensor("K\x00"s, "K\x02\x85", "J\xFF\xFF\xFF\xFF\x85") + "."), HasSubstr("fit"));
  EXPECT_THAT(problem(proto2 + tensor("K\x00"s, "K\x02\x85", "K\x01K\x01\x86") + "."), HasSubstr("fit"));
  const std::string huge = "\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"s;
  EXPECT_THAT(problem(proto2 + tensor("K\x00"s, huge + huge + "\x86", huge + huge + "\x86") + "."),
              HasSubstr("beyond"));
  EXPECT_THAT(problem(proto2 + tensor("K\x00"s, huge + huge + "\x86", "K\x00K\x00\x86"s) + "."), HasSubstr("beyond"));
  EXPECT_THAT(problem(proto2 + tensor("K\x00"s, "K\x02\x85", "K\x01\x85", "K\x07") + "."), HasSubstr("no such"));
  EXPECT_THAT(problem(proto2 + tensor("K\x00"s, "K\x02\x85", "K\x01\x85", huge) + "."), HasSubstr("impossible size"));
}

TEST(Unpickler, AnExpandedTensorIsCopiedOnlyUnderTheLimit) {
  const auto value = read(proto2 + tensor("K\x05", "J\x00\x00\x00\x40\x85"s, "K\x00\x85"s) + ".");
  ASSERT_TRUE(value) << value.error().text();
  EXPECT_FALSE(contiguous_floats(*value->tensor(), 1'000'000));
}

TEST(Unpickler, ObjectsAreRefusedByNameAndNothingRuns) {
  EXPECT_THAT(problem("\x80\x02"
                      "cposix\nsystem\n" +
                      text("true") + "\x85R."),
              HasSubstr("posix.system"));
  EXPECT_THAT(problem("\x80\x04"s + text("builtins") + text("eval") + "\x93" + text("1") + "\x85R."),
              HasSubstr("builtins.eval"));
  EXPECT_THAT(problem(proto2 + global("torch", "nn.Linear") + ")\x81."), HasSubstr("torch.nn.Linear"));
  EXPECT_THAT(problem(proto2 + global("torch", "load") + "."), HasSubstr("torch.load"));
  EXPECT_THAT(problem(proto2 + "(iposix\nsystem\n."), HasSubstr("nothing was run"));
  EXPECT_THAT(problem(proto2 + global("collections", "OrderedDict") + ")\x81."), HasSubstr("nothing was run"));
  EXPECT_THAT(problem(proto2 + global("torch", "FloatStorage") + "K\x05\x85R."), HasSubstr("is called"));
  EXPECT_THAT(problem(proto2 + "K\x01)R."), HasSubstr("no known object"));
  EXPECT_THAT(problem(proto2 + global("collections", "OrderedDict") + "."), HasSubstr("stands among"));
  for (const char opcode : "\x82\x83\x84IFLSVPgpdl") {
    if (opcode != '\0') {
      EXPECT_THAT(problem(proto2 + opcode + "aaaaaaaa\n."), HasSubstr("opcode"));
    }
  }
}

TEST(Unpickler, BytesOfProtocolTwoAreDecoded) {
  const auto value = read(proto2 + global("_codecs", "encode") + text("a\xC3\xBF\xC2\x80") + text("latin1") + "\x86R.");
  ASSERT_TRUE(value) << value.error().text();
  EXPECT_EQ(*value->bytes(), "a\xFF\x80");
  EXPECT_THAT(problem(proto2 + global("_codecs", "encode") + text("a") + text("rot13") + "\x86R."),
              HasSubstr("Latin-1"));
  EXPECT_THAT(problem(proto2 + global("_codecs", "encode") + text("\xE2\x82\xAC") + text("latin1") + "\x86R."),
              HasSubstr("Latin-1"));
}

TEST(Unpickler, ADtypeIsItsNameAndASizeItsNumbers) {
  EXPECT_EQ(*read(proto2 + global("torch", "bfloat16") + ".")->text(), "torch.bfloat16");
  const auto size = read(proto2 + global("torch", "Size") + "K\x02K\x03\x86\x85R.");
  ASSERT_TRUE(size) << size.error().text();
  EXPECT_EQ(*(*size->list())[1].integer(), 3);
}

TEST(Unpickler, EveryCutIsAnError) {
  const std::string whole = proto2 + "}(" + text("w") + tensor("K\x00"s, "K\x02K\x03\x86", "K\x03K\x01\x86") +
                            text("n") + "\x8A\x08\x01\x02\x03\x04\x05\x06\x07\x08u.";
  ASSERT_TRUE(read(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(read(whole.substr(0, size))) << size;
  EXPECT_THAT(problem(whole + "x"), HasSubstr("further bytes"));
}

TEST(Unpickler, NoSingleByteBreaksIt) {
  const std::string whole = "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}("s + text("w") +
                            tensor("K\x00"s, "K\x02K\x03\x86", "K\x03K\x01\x86") + text("n") + "](K\x01\x88\x94h\x00"s +
                            "e" + "u.";
  ASSERT_TRUE(read(whole)) << read(whole).error().text();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bent = whole;
      bent[at] = static_cast<char>(value);
      const auto outcome = read(bent);
      if (outcome && outcome->find("w") != nullptr && outcome->find("w")->tensor() != nullptr) {
        EXPECT_LE(outcome->find("w")->tensor()->view.bytes.size(), sizeof(numbers));
      }
    }
  }
}

TEST(Unpickler, StackErrorsAreFound) {
  for (const std::string& bad : {"a."s,
                                 "]a."s,
                                 "e."s,
                                 "](K\x01u."s,
                                 "}(K\x01u."s,
                                 "K\x01K\x02."s,
                                 "."s,
                                 "0."s,
                                 "1."s,
                                 "2."s,
                                 "\x85."s,
                                 "K\x01\x86."s,
                                 "t."s,
                                 "q\x01."s,
                                 "h\x01."s,
                                 "\x94."s,
                                 "Q."s,
                                 "R."s,
                                 "b."s,
                                 "K\x01"
                                 "b."s,
                                 "]K\x01"
                                 "b."s,
                                 "(."s,
                                 "](."s,
                                 "K\x01(\x85."s,
                                 "\x93."s,
                                 "K\x01K\x01\x93."s,
                                 "K\x01Q."s,
                                 ")Q."s}) {
    EXPECT_FALSE(problem(proto2 + bad).empty());
  }
  EXPECT_THAT(problem("\x80\x06."), HasSubstr("protocol 6"));
  EXPECT_THAT(problem("\x80\x01."), HasSubstr("protocol 1"));
  EXPECT_THAT(problem(proto2 + "\x8C\x01\xFF."), HasSubstr("UTF-8"));
  EXPECT_THAT(problem(proto2 + "\x8A\x09"
                               "123456789."),
              HasSubstr("64 bits"));
  EXPECT_THAT(problem(proto2 + "c" + std::string(600, 'x')), HasSubstr("too long"));
}

TEST(Unpickler, DictsRefuseKeysTwiceAndContainersAsKeys) {
  EXPECT_THAT(problem(proto2 + "}(" + text("a") + "N" + text("a") + "Nu."), HasSubstr("'a' twice"));
  EXPECT_THAT(problem(proto2 + "}(K\x05NK\x05Nu."), HasSubstr("'5' twice"));
  EXPECT_THAT(problem(proto2 + "}]Ns."), HasSubstr("as a key"));
  EXPECT_TRUE(read(proto2 + "}K\x01K\x02\x86Ns."));
}

TEST(Unpickler, ContainersThatHoldThemselvesAreRefused) {
  EXPECT_THAT(problem(proto2 + "]q\x00h\x00"
                               "a."s),
              HasSubstr("holds itself"));
  EXPECT_THAT(problem(proto2 + "]q\x00]q\x01h\x00"
                               "aa."s),
              HasSubstr("holds itself"));
}

TEST(Unpickler, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_THAT(problem(proto2 + std::string(1'000'000, ']') + std::string(999'999, 'a') + "."), HasSubstr("nested"));
  EXPECT_TRUE(read(proto2 + std::string(64, ']') + std::string(63, 'a') + "."));
  // Made shallow first and deepened afterwards: list i gets list i + 1, the outermost comes last.
  std::string late = proto2;
  for (int i = 0; i < 100; ++i) late += "]q"s + static_cast<char>(i) + "0";
  for (int i = 98; i >= 0; --i) late += "h"s + static_cast<char>(i) + "h" + static_cast<char>(i + 1) + "a0";
  EXPECT_THAT(problem(late + "h\x00."s), HasSubstr("nested"));
}

TEST(Unpickler, SharingThatUnfoldsToTooMuchIsRefused) {
  // Each of 60 lists holds the one before it twice.
  std::string laughs = proto2 + "]q\x00"s;
  for (int i = 1; i < 60; ++i) {
    const char before = static_cast<char>(i - 1);
    laughs += "0](h"s + before + "h" + before + "eq" + static_cast<char>(i);
  }
  EXPECT_THAT(problem(laughs + "."), HasSubstr("unfolds"));
  // A long text named again and again.
  std::string echo = proto2 + "]X\x00\x00\x10\x00"s + std::string(1U << 20U, 'x') + "q\x00"s + "a(";
  for (int i = 0; i < 2000; ++i) echo += "h\x00"s;
  EXPECT_THAT(problem(echo + "e."), HasSubstr("unfolds"));
}

TEST(Unpickler, RepeatedCallsThatCopyAreBounded) {
  std::string list = proto2 + "](";
  for (int i = 0; i < 1000; ++i) list += "K\x01K\x02\x86";
  list += "eq\x00"s;
  for (int i = 0; i < 20'000; ++i) list += global("collections", "OrderedDict") + "h\x00\x85R0"s;
  EXPECT_THAT(problem(list + "."), HasSubstr("more values"));
}

}  // namespace
}  // namespace moescope::unpickler_test
