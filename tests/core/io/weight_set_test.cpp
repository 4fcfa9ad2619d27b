#include "core/io/weight_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/io/json_text.h"
#include "tests/core/io/temporary_folder.h"

namespace moescope::weight_set_test {
namespace {

using fixtures::safetensors_bytes;
using fixtures::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Sharded : public ::testing::Test {
 protected:
  void SetUp() override {
    shard("s1.safetensors", "a", "b");
    shard("s2.safetensors", "c", "d");
  }
  void shard(const std::string& file, const std::string& first, const std::string& second) const {
    folder_.write(file, safetensors_bytes("{\"" + first + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},")" +
                                              second + R"(":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                          first + second));
  }
  Expected<WeightSet> read(const std::string& weight_map) const {
    folder_.write("model.safetensors.index.json", R"({"metadata":{"total_size":4},"weight_map":)" + weight_map + "}");
    return read_weights_folder(folder_.path());
  }
  TemporaryFolder folder_;
};

TEST_F(Sharded, TensorsOfAllShardsAreFoundAndExtrasReported) {
  const auto set = read(R"({"a":"s1.safetensors","b":"s1.safetensors","d":"s2.safetensors"})");
  ASSERT_TRUE(set) << set.error().text();
  for (const char* name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(static_cast<char>(set->tensors.at(name).bytes[0]), name[0]);
  }
  EXPECT_THAT(set->unmapped, ElementsAre("c"));
  EXPECT_FALSE(set->fault());
}

TEST_F(Sharded, ShardNamesMustBePlain) {
  for (const char* name :
       {"\"../s1.safetensors\"", "\"/etc/passwd\"", "\"x\\\\y\"", "\"\"", "\"..\"", "5", "null", "\"a\\u0000b\""}) {
    const auto set = read(std::string(R"({"a":)") + name + "}");
    ASSERT_FALSE(set);
    EXPECT_THAT(set.error().what, HasSubstr("not a plain file name")) << name;
  }
}

TEST_F(Sharded, MissingShardsAndTensorsAreNamed) {
  const auto no_shard = read(R"({"a":"s3.safetensors"})");
  ASSERT_FALSE(no_shard);
  EXPECT_THAT(no_shard.error().where, HasSubstr("s3.safetensors"));
  const auto no_tensor = read(R"({"x":"s1.safetensors"})");
  ASSERT_FALSE(no_tensor);
  EXPECT_THAT(no_tensor.error().where, HasSubstr("'x'"));
  const auto wrong_shard = read(R"({"a":"s2.safetensors","b":"s1.safetensors"})");
  ASSERT_FALSE(wrong_shard);
  EXPECT_THAT(wrong_shard.error().where, HasSubstr("'a'"));
}

TEST_F(Sharded, ATensorInTwoShardsIsRefused) {
  shard("s2.safetensors", "c", "a");
  const auto set = read(R"({"a":"s1.safetensors","c":"s2.safetensors"})");
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().what, HasSubstr("two shards"));
}

TEST_F(Sharded, BadIndexesAreInputErrors) {
  for (const char* index : {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})", "{"}) {
    folder_.write("model.safetensors.index.json", index);
    const auto set = read_weights_folder(folder_.path());
    ASSERT_FALSE(set) << index;
    EXPECT_EQ(set.error().kind, ErrorKind::input);
  }
}

TEST_F(Sharded, AFolderWithOneFileNeedsNoIndex) {
  EXPECT_THAT(read_weights_folder(folder_.path()).error().what, HasSubstr("model.safetensors"));
  shard("model.safetensors", "a", "b");
  const auto set = read_weights_folder(folder_.path());
  ASSERT_TRUE(set) << set.error().text();
  EXPECT_EQ(set->tensors.size(), 2U);
}

TEST_F(Sharded, ALostShardIsAFaultOfTheSet) {
  const auto set = read(R"({"a":"s1.safetensors","c":"s2.safetensors"})");
  ASSERT_TRUE(set);
  std::filesystem::resize_file(folder_.path() / "s2.safetensors", 3);
  ASSERT_TRUE(set->fault());
  EXPECT_THAT(set->fault()->where, HasSubstr("s2.safetensors"));
}

class TorchWeights : public ::testing::Test {
 protected:
  // A file of tests/data/torch under another name.
  void copy(const std::string& from, const std::string& to) const {
    std::filesystem::copy_file(std::filesystem::path(MOESCOPE_TEST_DATA) / "torch" / from, folder_.path() / to);
  }
  TemporaryFolder folder_;
};

TEST_F(TorchWeights, AStateDictIsASetOfWeights) {
  copy("state_dict.pt", "pytorch_model.bin");
  const auto set = read_weights_folder(folder_.path());
  ASSERT_TRUE(set) << set.error().text();
  ASSERT_EQ(set->tensors.size(), 2U);
  EXPECT_THAT(set->tensors.at("weight").shape, ElementsAre(3, 2));
  EXPECT_EQ(set->tensors.at("weight").name, "weight");
  float last = 0;
  std::memcpy(&last, set->tensors.at("bias").bytes.data() + 8, sizeof(last));
  EXPECT_EQ(last, 1.5F);
}

TEST_F(TorchWeights, ShardsHaveAnIndexLikeSafetensors) {
  copy("state_dict.pt", "pytorch_model-00001-of-00002.bin");
  copy("parameter.pt", "pytorch_model-00002-of-00002.bin");
  folder_.write(
      "pytorch_model.bin.index.json",
      R"({"weight_map":{"weight":"pytorch_model-00001-of-00002.bin","w":"pytorch_model-00002-of-00002.bin"}})");
  const auto set = read_weights_folder(folder_.path());
  ASSERT_TRUE(set) << set.error().text();
  EXPECT_EQ(set->tensors.size(), 3U);
  EXPECT_THAT(set->unmapped, ElementsAre("bias"));
}

TEST_F(TorchWeights, TensorsInAnotherOrderAreCopied) {
  copy("values.pt", "m.pt");
  const auto set = read_weight_file(folder_.path() / "m.pt");
  ASSERT_TRUE(set) << set.error().text();
  const TensorView& turned = set->tensors.at("transposed");
  EXPECT_THAT(turned.shape, ElementsAre(4, 3, 2));
  ASSERT_EQ(turned.bytes.size(), 96U);
  float second = 0;
  std::memcpy(&second, turned.bytes.data() + 4, sizeof(second));
  EXPECT_EQ(second, 12.0F);
}

TEST_F(TorchWeights, SafetensorsGoBeforePickles) {
  copy("state_dict.pt", "pytorch_model.bin");
  folder_.write("model.safetensors", safetensors_bytes("{}"));
  EXPECT_TRUE(read_weights_folder(folder_.path())->tensors.empty());
}

TEST_F(TorchWeights, AFileThatWouldRunSomethingIsRefused) {
  copy("command.pt", "pytorch_model.bin");
  EXPECT_THAT(read_weights_folder(folder_.path()).error().what, HasSubstr("posix.system"));
}

TEST(JsonText, DuplicatesDepthAndBadTextAreRefused) {
  EXPECT_THAT(parse_json(R"({"a":1,"b":{"a":1,"a":2}})", "f").error().what, HasSubstr("'a' twice"));
  EXPECT_THAT(parse_json(std::string(100'000, '['), "f").error().what, HasSubstr("nested"));
  EXPECT_THAT(parse_json("{]", "f").error().where, HasSubstr("byte 1"));
  EXPECT_THAT(parse_json(std::string("{}\0", 3), "f").error().what, HasSubstr("zero byte"));
  EXPECT_THAT(parse_json("\"\xFF\"", "f").error().what, HasSubstr("UTF-8"));
  EXPECT_EQ(parse_json(R"([{"a":1},{"a":2}])", "f").value()[1]["a"], 2);
}

}  // namespace
}  // namespace moescope::weight_set_test
