// Checkpoint: named tensors in mapped files, a ModelSpec and, where there is one, a tokenizer. Opening reads headers
// and config.json only. Immutable after open; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/tensor_view.h"
#include "core/model/model_spec.h"
#include "core/model/tokenizer.h"
#include "core/model/weight_names.h"
#include "core/model/weight_slice.h"

namespace moescope {

class MOESCOPE_API Checkpoint {
 public:
  // Opens a Hugging Face folder (safetensors or torch files, single or sharded with an index) or a file in one, or a
  // GGUF model (a file, or a folder with one). Every tensor that the family needs is checked for presence and shape
  // here, so engines do not. Errors (input) name file, tensor and what to do.
  [[nodiscard]] static Expected<std::shared_ptr<const Checkpoint>> open(const std::filesystem::path& path);

  [[nodiscard]] const ModelSpec& spec() const { return spec_; }
  [[nodiscard]] const WeightNames& names() const { return names_; }
  // What to open it again by: its folder, or the file (GGUF, or torch weights) that it is.
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const std::string& config_hash() const { return config_hash_; }
  // Null when the folder has none; then runs take ids only. tokenizer_error() says why when there is a bad one.
  [[nodiscard]] const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  [[nodiscard]] const std::optional<Error>& tokenizer_error() const { return tokenizer_error_; }
  // Tensor by name, null when there is none.
  [[nodiscard]] const TensorView* tensor(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  // The matrix or vector of a role, whatever the layout it is stored in. Error (input): the model has no such weight.
  [[nodiscard]] Expected<WeightSlice> weight(WeightRole role, std::uint32_t layer = 0, std::uint32_t expert = 0) const;
  // Keys (or values) of one head of a latent projection that is stored as two tensors (names().split_kv_b).
  [[nodiscard]] Expected<WeightSlice> latent_head(std::uint32_t layer, std::uint32_t head, bool values) const;
  [[nodiscard]] std::uint64_t total_bytes() const;
  // The mapped bytes that hold the weights of one layer, with or without its routed experts.
  [[nodiscard]] std::vector<std::span<const std::byte>> layer_bytes(std::uint32_t layer, bool experts) const;
  // Files in the folder that were left out, tensors not in the index, and the like.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  // The error of a mapped file that shrank or was lost since, if any; engines ask after reading.
  [[nodiscard]] std::optional<Error> fault() const;

 private:
  struct Files;
  Checkpoint() = default;
  ModelSpec spec_;
  WeightNames names_;
  std::filesystem::path folder_;
  std::string config_hash_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<Error> tokenizer_error_;
  std::map<std::string, TensorView> tensors_;
  std::vector<std::string> notes_;
  std::shared_ptr<Files> files_;
};

}  // namespace moescope
