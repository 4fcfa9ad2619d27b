#include "plugins/torch_engine/weights.h"

#include <ATen/ATen.h>

#include <cstring>
#include <optional>

#include "plugins/torch_engine/memory.h"

namespace moescope::torch_engine {
namespace {

std::optional<at::ScalarType> scalar_type(DType type) {
  switch (type) {
    case DType::f32:
      return at::kFloat;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f16:
      return at::kHalf;
    case DType::f64:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

}  // namespace

Expected<at::Tensor> tensor_of(const TensorView& view) {
  const auto type = scalar_type(view.type);
  if (!type) {
    return fail(ErrorKind::input,
                std::string("this engine does not compute with weights of type ") + dtype_name(view.type),
                view.file + ", tensor " + view.name, "Use a checkpoint in F32, BF16 or F16");
  }
  std::vector<std::int64_t> shape;
  for (const std::uint64_t size : view.shape) shape.push_back(static_cast<std::int64_t>(size));
  const at::TensorOptions options = at::TensorOptions().dtype(*type);
  const std::size_t align = at::elementSize(*type);
  if (reinterpret_cast<std::uintptr_t>(view.bytes.data()) % align != 0) {
    at::Tensor copy = at::empty(shape, options);
    std::memcpy(copy.data_ptr(), view.bytes.data(), view.bytes.size());
    return copy;
  }
  // Torch wants a mutable pointer; nothing writes through it, and the mapping is read-only.
  void* data = const_cast<std::byte*>(view.bytes.data());
  return at::from_blob(
      data, shape, [owner = view.owner](void*) {}, options);
}

Weights::Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType compute, at::Device device, bool resident)
    : checkpoint_(std::move(checkpoint)),
      compute_(compute),
      device_(device),
      resident_(resident),
      layers_(checkpoint_->spec().layers.size()) {}

Expected<at::Tensor> Weights::mapped(const std::string& name) const {
  const TensorView* view = checkpoint_->tensor(name);
  if (!view) return fail(ErrorKind::input, "the checkpoint lacks a tensor", name, "Check that the folder is complete");
  return tensor_of(*view);
}

Expected<at::Tensor> Weights::make(const std::string& name, at::ScalarType type) const {
  return mapped(name).map([&](const at::Tensor& t) { return t.to(device_, type); });
}

Expected<blocks::LayerWeights> Weights::make_layer(std::uint32_t index, const blocks::Interrupt& interrupt) const {
  const ModelSpec& spec = checkpoint_->spec();
  const WeightNames& names = checkpoint_->names();
  blocks::LayerWeights out;
  // Reads one tensor into `place` unless something failed before.
  std::optional<Error> error;
  const auto read = [&](at::Tensor& place, const std::string& pattern, at::ScalarType type, std::uint32_t expert = 0) {
    if (error) return;
    if (interrupt) interrupt();
    auto made = make(tensor_name(pattern, index, expert), type);
    made ? static_cast<void>(place = *made) : static_cast<void>(error = made.error());
  };
  read(out.input_norm, names.input_norm, at::kFloat);
  read(out.post_norm, names.post_norm, at::kFloat);
  read(out.router, names.router, at::kFloat);
  read(out.attention.q, names.q, compute_);
  read(out.attention.k, names.k, compute_);
  read(out.attention.v, names.v, compute_);
  read(out.attention.o, names.o, compute_);
  if (spec.qk_norm == QkNorm::whole_width) {
    read(out.attention.q_norm, names.q_norm, at::kFloat);
    read(out.attention.k_norm, names.k_norm, at::kFloat);
  }
  for (std::uint32_t e = 0; e < spec.layers[index].experts && !error; ++e) {
    blocks::ExpertWeights expert;
    read(expert.gate, names.expert_gate, compute_, e);
    read(expert.up, names.expert_up, compute_, e);
    read(expert.down, names.expert_down, compute_, e);
    if (!error && resident_) {
      expert.gate_up = at::cat({expert.gate, expert.up}, 0);
      expert.gate = expert.up = at::Tensor();
    }
    out.experts.push_back(std::move(expert));
  }
  if (error) return fail(*error);
  if (resident_) {
    out.attention.qkv = at::cat({out.attention.q, out.attention.k, out.attention.v}, 0);
    out.attention.q = out.attention.k = out.attention.v = at::Tensor();
  }
  return out;
}

Expected<const blocks::LayerWeights*> Weights::layer(std::uint32_t index, const blocks::Interrupt& interrupt) {
  if (resident_ && layers_[index]) return &*layers_[index];
  if (resident_ && !device_.is_cpu()) {
    try {
      auto made = make_layer(index, interrupt);
      if (!made) return fail(made.error());
      return &layers_[index].emplace(std::move(*made));
    } catch (const std::exception& e) {
      if (!is_out_of_memory(e.what())) throw;
      // The device cannot hold all layers: give back what it has and go on with one at a time.
      resident_ = false;
      layers_.assign(layers_.size(), std::nullopt);
      lm_head_ = at::Tensor();
    }
  }
  streamed_ = blocks::LayerWeights();  // the last layer's copies go before the next one's come
  auto made = make_layer(index, interrupt);
  if (!made) return fail(made.error());
  if (resident_) return &layers_[index].emplace(std::move(*made));
  streamed_ = std::move(*made);
  return &streamed_;
}

Expected<at::Tensor> Weights::embed(const at::Tensor& ids) {
  return mapped(checkpoint_->names().embedding).map([&](const at::Tensor& table) {
    return at::index_select(table, 0, ids).to(device_, at::kFloat);
  });
}

Expected<at::Tensor> Weights::final_norm() {
  return make(checkpoint_->names().final_norm, at::kFloat);
}

Expected<at::Tensor> Weights::lm_head() {
  if (lm_head_.defined()) return lm_head_;
  const WeightNames& names = checkpoint_->names();
  auto made = make(checkpoint_->spec().tied_embeddings ? names.embedding : names.lm_head, compute_);
  if (made && resident_) lm_head_ = *made;
  return made;
}

}  // namespace moescope::torch_engine
