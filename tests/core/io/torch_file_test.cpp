#include "core/io/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/core/io/temporary_folder.h"
#include "tests/core/io/zip_bytes.h"

// The .pt files in tests/data/torch were written by torch.save and torch.jit.save of PyTorch 1.13.
namespace moescope::torch_file_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;
using fixtures::stored_part;
using fixtures::TemporaryFolder;
using fixtures::zip_bytes;

std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(MOESCOPE_TEST_DATA) / "torch" / name;
}

const StridedTensor& tensor(const PickleValue& value, std::string_view key) {
  static const StridedTensor none;
  const PickleValue* const found = value.find(key);
  if (found == nullptr || found->tensor() == nullptr) {
    ADD_FAILURE() << "no tensor " << key;
    return none;
  }
  return *found->tensor();
}

std::string problem(const std::filesystem::path& path) {
  const auto file = read_torch_file(path);
  if (file) {
    ADD_FAILURE() << "was accepted";
    return {};
  }
  EXPECT_EQ(file.error().kind, ErrorKind::input);
  EXPECT_THAT(file.error().where, HasSubstr(path.filename().string()));
  EXPECT_FALSE(file.error().advice.empty());
  return file.error().what;
}

TEST(TorchFile, PlainValuesComeBack) {
  const auto file = read_torch_file(data("values.pt"));
  ASSERT_TRUE(file) << file.error().text();
  const PickleValue& meta = *file->root.find("meta");
  EXPECT_EQ(*meta.find("name")->text(), "tiny ä");
  EXPECT_EQ(*meta.find("n")->integer(), 5);
  EXPECT_EQ(*meta.find("pi")->real(), 3.5);
  const PickleList& flags = *meta.find("flags")->list();
  EXPECT_TRUE(*flags[0].boolean());
  EXPECT_FALSE(*flags[1].boolean());
  EXPECT_TRUE(flags[2].none());
  EXPECT_EQ(*meta.find("big")->integer(), std::int64_t{1} << 40);
  EXPECT_EQ(*meta.find("negative")->integer(), -(std::int64_t{1} << 33));
  EXPECT_EQ(*meta.find("neg8")->integer(), -128);
  EXPECT_EQ(*meta.find("bytes")->bytes(), "\x00\x80\xFF"s);
  EXPECT_EQ(*(*meta.find("tuple")->list())[1].text(), "a");
  EXPECT_EQ(*(*meta.find("size")->list())[1].integer(), 3);
  EXPECT_EQ(*meta.find("dtype")->text(), "torch.bfloat16");
  EXPECT_EQ(*meta.find("ordered")->dict()->front().first.text(), "b");
  EXPECT_EQ((*meta.find("twice")->list())[0].list(), (*meta.find("twice")->list())[1].list());
  EXPECT_EQ(*meta.dict()->back().first.integer(), 1);
}

TEST(TorchFile, TensorsOfEveryTypeAndStrideComeBack) {
  const auto file = read_torch_file(data("values.pt"));
  ASSERT_TRUE(file) << file.error().text();
  const PickleValue& root = file->root;
  const StridedTensor& logits = tensor(root, "logits");
  EXPECT_THAT(logits.view.shape, ElementsAre(2, 3, 4));
  EXPECT_TRUE(logits.contiguous());
  EXPECT_EQ(contiguous_floats(logits)->at(23), 23.0F);
  EXPECT_EQ(logits.view.file_offset % 64, 0U);
  EXPECT_THAT(*contiguous_floats(tensor(root, "slice")), ElementsAre(13, 14, 17, 18, 21, 22));
  const auto transposed = contiguous_floats(tensor(root, "transposed"));
  for (std::size_t i = 0; i < 24; ++i) {  // element [c, b, a] is 12 a + 4 b + c
    EXPECT_EQ((*transposed)[i], static_cast<float>(12 * (i % 2) + 4 * (i / 2 % 3) + i / 6));
  }
  EXPECT_THAT(*contiguous_floats(tensor(root, "expanded")), ElementsAre(7, 7, 7));
  EXPECT_THAT(*contiguous_floats(tensor(root, "half")), ElementsAre(0.5F, -2.0F));
  EXPECT_THAT(*contiguous_floats(tensor(root, "bfloat")), ElementsAre(1.5F, -3.0F));
  EXPECT_THAT(*contiguous_floats(tensor(root, "double")), ElementsAre(0.1F));
  EXPECT_THAT(*contiguous_floats(tensor(root, "scalar")), ElementsAre(2.5F));
  EXPECT_TRUE(contiguous_floats(tensor(root, "empty"))->empty());
  EXPECT_THAT(*contiguous_integers(tensor(root, "ids")), ElementsAre(5, -1, 7, std::int64_t{1} << 40));
  EXPECT_THAT(*contiguous_integers(tensor(root, "small")), ElementsAre(-3));
  EXPECT_THAT(*contiguous_integers(tensor(root, "mask")), ElementsAre(1, 0));
  EXPECT_FALSE(contiguous_integers(tensor(root, "half")));
  EXPECT_FALSE(contiguous_floats(tensor(root, "ids")));
}

TEST(TorchFile, StateDictsAndParametersAreDicts) {
  const auto file = read_torch_file(data("state_dict.pt"));
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_THAT(*contiguous_floats(tensor(file->root, "weight")), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(*contiguous_floats(tensor(file->root, "bias")), ElementsAre(0.5F, 1.0F, 1.5F));
  const auto parameter = read_torch_file(data("parameter.pt"));
  ASSERT_TRUE(parameter) << parameter.error().text();
  EXPECT_THAT(tensor(parameter->root, "w").view.shape, ElementsAre(3, 2));
}

TEST(TorchFile, LaterProtocolsAreRead) {
  for (const char* name : {"protocol4.pt", "protocol5.pt"}) {
    const auto file = read_torch_file(data(name));
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_THAT(*contiguous_floats(tensor(file->root, "x")), ElementsAre(1, 1));
    EXPECT_EQ(*file->root.find("y")->bytes(), "ab");
    EXPECT_EQ(*(*file->root.find("z")->list())[0].real(), 1.5);
  }
}

TEST(TorchFile, FilesThatWouldRunSomethingAreRefused) {
  EXPECT_THAT(problem(data("command.pt")), HasSubstr("posix.system"));
  EXPECT_FALSE(std::filesystem::exists("/tmp/moescope-was-run"));
  EXPECT_THAT(problem(data("module.pt")), HasSubstr("torch.nn.modules.linear.Linear"));
}

TEST(TorchFile, OtherKindsOfFilesAreNamed) {
  EXPECT_THAT(problem(data("legacy.pt")), HasSubstr("before version 1.6"));
  EXPECT_THAT(problem(data("script.pt")), HasSubstr("TorchScript"));
  EXPECT_THAT(problem(data("stored.npz")), HasSubstr("no data.pkl"));
  const TemporaryFolder folder;
  EXPECT_THAT(problem(folder.write("text.pt", "hello")), HasSubstr("not a file of torch.save"));
  EXPECT_THAT(problem(folder.write("empty.pt", "")), HasSubstr("not a file of torch.save"));
}

TEST(TorchFile, EveryCutIsAnError) {
  const TemporaryFolder folder;
  const auto whole = data("state_dict.pt");
  for (std::uintmax_t size = 0; size < std::filesystem::file_size(whole); size += 7) {
    const auto cut = folder.path() / "cut.pt";
    std::filesystem::copy_file(whole, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, size);
    EXPECT_FALSE(read_torch_file(cut)) << size;
  }
}

// A file whose pickle holds one float tensor of `elements` elements in storage 0.
std::string one_tensor(char elements) {
  return "\x80\x02"s + "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"s +
         "X\x01\x00\x00\x00"
         "0X\x03\x00\x00\x00"
         "cpuK"s +
         elements + "tQK\x00K"s + elements +
         "\x85K\x01\x85\x89"
         "ccollections\nOrderedDict\n)RtR."s;
}

TEST(TorchFile, RecordsMustHoldTheirTensors) {
  const TemporaryFolder folder;
  const std::string two(8, '\0');
  const auto write = [&](std::vector<fixtures::ZipPart> parts) { return folder.write("t.pt", zip_bytes(parts)); };
  EXPECT_TRUE(read_torch_file(write({stored_part("a/data.pkl", one_tensor(2)), stored_part("a/data/0", two)})));
  EXPECT_THAT(problem(write({stored_part("a/data.pkl", one_tensor(3)), stored_part("a/data/0", two)})),
              HasSubstr("8 bytes where 12"));
  EXPECT_THAT(problem(write({stored_part("a/data.pkl", one_tensor(2)), stored_part("b/data/0", two)})),
              HasSubstr("no record"));
  EXPECT_THAT(problem(write({stored_part("a/data.pkl", one_tensor(2)), fixtures::deflated_part("a/data/0", two)})),
              HasSubstr("compressed"));
  EXPECT_THAT(problem(write({stored_part("a/data.pkl", one_tensor(2)), stored_part("a/data/0", two),
                             stored_part("a/byteorder", "big")})),
              HasSubstr("big-endian"));
  EXPECT_THAT(problem(write({stored_part("a/data.pkl", one_tensor(2)), stored_part("b/data.pkl", one_tensor(2))})),
              HasSubstr("several data.pkl"));
  EXPECT_TRUE(
      read_torch_file(write({fixtures::deflated_part("a/data.pkl", one_tensor(2)), stored_part("a/data/0", two),
                             stored_part("a/byteorder", "little"), stored_part("a/.data/serialization_id", "1")})));
}

}  // namespace
}  // namespace moescope::torch_file_test
