#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/io/safetensors.h"
#include "core/model/checkpoint.h"
#include "tests/core/io/temporary_folder.h"
#include "tests/core/io/zip_bytes.h"

namespace moescope::torch_checkpoint_test {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;
using fixtures::put;
using fixtures::TemporaryFolder;

namespace fs = std::filesystem;

const fs::path golden = fs::path(MOESCOPE_TEST_DATA) / "golden" / "olmoe";

std::string text(const std::string& value) {
  std::string out = "X";
  put(out, static_cast<std::uint32_t>(value.size()));
  return out + value;
}

std::string number(std::uint64_t value) {
  std::string out = "J";
  put(out, static_cast<std::uint32_t>(value));
  return out;
}

// The float32 tensors of a safetensors file as torch.save writes a state dict.
std::string torch_file(const SafetensorsFile& file) {
  std::string pickle = "\x80\x02}(";
  std::vector<fixtures::ZipPart> parts(1);
  for (const TensorView& view : file.tensors) {
    const std::string key = std::to_string(parts.size());
    pickle += text(view.name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
              text(key) + text("cpu") + number(view.elements()) + "tQ" + number(0) + "(";
    for (const std::uint64_t extent : view.shape) pickle += number(extent);
    pickle += "t(";
    std::uint64_t stride = view.elements();
    for (const std::uint64_t extent : view.shape) pickle += number(stride /= extent);
    pickle += "t\x89"s + "ccollections\nOrderedDict\n)RtR";
    parts.push_back(fixtures::stored_part("archive/data/" + key,
                                          {reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()}));
  }
  parts[0] = fixtures::stored_part("archive/data.pkl", pickle + "u.");
  return fixtures::zip_bytes(std::move(parts));
}

class TorchCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy_file(golden / "config.json", folder_.path() / "config.json");
    const auto file = read_safetensors(golden / "model.safetensors");
    ASSERT_TRUE(file) << file.error().text();
    bytes_ = torch_file(*file);
  }
  void expect_the_golden_weights(const fs::path& path) const {
    const auto opened = Checkpoint::open(path);
    ASSERT_TRUE(opened) << opened.error().text();
    const auto reference = Checkpoint::open(golden);
    ASSERT_TRUE(reference);
    EXPECT_EQ((*opened)->tensors().size(), (*reference)->tensors().size());
    for (const auto& [name, view] : (*reference)->tensors()) {
      const TensorView* const other = (*opened)->tensor(name);
      ASSERT_NE(other, nullptr) << name;
      EXPECT_EQ(other->shape, view.shape);
      EXPECT_TRUE(std::equal(other->bytes.begin(), other->bytes.end(), view.bytes.begin(), view.bytes.end())) << name;
    }
  }
  TemporaryFolder folder_;
  std::string bytes_;
};

TEST_F(TorchCheckpoint, AFolderWithPytorchModelIsACheckpoint) {
  folder_.write("pytorch_model.bin", bytes_);
  expect_the_golden_weights(folder_.path());
  EXPECT_TRUE((*Checkpoint::open(folder_.path()))->notes().empty());
}

TEST_F(TorchCheckpoint, AFileOfAnotherNameIsOpenedByItself) {
  const fs::path file = folder_.write("step-100.pt", bytes_);
  expect_the_golden_weights(file);
  EXPECT_EQ((*Checkpoint::open(file))->folder(), file);
  EXPECT_FALSE(Checkpoint::open(folder_.path()));
}

TEST_F(TorchCheckpoint, WithoutWeightsTheFolderIsNoCheckpoint) {
  const auto opened = Checkpoint::open(folder_.path());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().what, HasSubstr("no weights"));
}

TEST_F(TorchCheckpoint, AFileThatWouldRunSomethingIsRefused) {
  fs::copy_file(fs::path(MOESCOPE_TEST_DATA) / "torch" / "command.pt", folder_.path() / "pytorch_model.bin");
  const auto opened = Checkpoint::open(folder_.path());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().what, HasSubstr("posix.system"));
}

}  // namespace
}  // namespace moescope::torch_checkpoint_test
