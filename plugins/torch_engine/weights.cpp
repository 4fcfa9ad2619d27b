#include "plugins/torch_engine/weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstring>
#include <map>

#include "core/io/mapped_file.h"
#include "plugins/torch_engine/blocks/grouped.h"
#include "plugins/torch_engine/blocks/memory.h"

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

// The numbers decoded to float32, rows shared among torch's threads.
Expected<at::Tensor> decoded(const WeightSlice& slice) {
  at::Tensor out =
      at::empty({static_cast<std::int64_t>(slice.rows), static_cast<std::int64_t>(slice.columns)}, at::kFloat);
  const std::span<float> all(out.data_ptr<float>(), slice.elements());
  std::mutex mutex;
  std::optional<Error> error;
  const auto grain = static_cast<std::int64_t>(std::max<std::uint64_t>(1, 65536 / slice.columns));
  at::parallel_for(0, static_cast<std::int64_t>(slice.rows), grain, [&](std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<std::uint64_t>(begin), rows = static_cast<std::uint64_t>(end - begin);
    auto done = read_rows(slice, first, all.subspan(first * slice.columns, rows * slice.columns));
    if (done) return;
    const std::lock_guard lock(mutex);
    error = std::move(done.error());
  });
  if (error) return fail(std::move(*error));
  return out;
}

std::uint64_t bytes_of(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<std::uint64_t>(tensor.numel()) * tensor.element_size() : 0;
}

}  // namespace

// Experts of the layer at hand that had to be converted, as long as they fit.
struct Weights::ExpertCache {
  std::mutex mutex;
  std::uint64_t limit = 0, used = 0;
  std::map<std::size_t, blocks::ExpertWeights> experts;
};

Expected<at::Tensor> tensor_of(const WeightSlice& slice) {
  const auto type = scalar_type(slice.tensor.type);
  const auto rows = static_cast<std::int64_t>(slice.rows), columns = static_cast<std::int64_t>(slice.columns);
  at::Tensor out;
  if (slice.coding != WeightSlice::Coding::plain || !type) {
    auto made = decoded(slice);
    if (!made) return made;
    out = std::move(*made);
  } else {
    const std::size_t size = at::elementSize(*type);
    const std::byte* data = slice.tensor.bytes.data() + slice.first * size;
    const std::vector<std::int64_t> strides{static_cast<std::int64_t>(slice.row_stride),
                                            static_cast<std::int64_t>(slice.column_stride)};
    if (reinterpret_cast<std::uintptr_t>(data) % size != 0) {
      at::Tensor whole = at::empty({static_cast<std::int64_t>(slice.tensor.elements())}, *type);
      std::memcpy(whole.data_ptr(), slice.tensor.bytes.data(), slice.tensor.bytes.size());
      out = whole.as_strided({rows, columns}, strides, static_cast<std::int64_t>(slice.first)).contiguous();
    } else {
      // Torch wants a mutable pointer; nothing writes through it, and the mapping is read-only.
      out = at::from_blob(
          const_cast<std::byte*>(data), {rows, columns}, strides, [owner = slice.tensor.owner](void*) {},
          at::TensorOptions().dtype(*type));
    }
  }
  return slice.columns == 1 ? out.select(1, 0) : out;
}

Weights::Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType compute, at::Device device,
                 const Residence& residence)
    : checkpoint_(std::move(checkpoint)),
      compute_(compute),
      device_(device),
      resident_(residence.resident),
      prefetch_experts_(residence.prefetch_experts),
      cache_(std::make_shared<ExpertCache>()),
      layers_(checkpoint_->spec().layers.size()) {
  cache_->limit = residence.expert_cache;
}

Weights::~Weights() {
  if (prefetch_.valid()) prefetch_.wait();
}

// While streaming: the pages of the layer before go, those of the layer after are read in the background.
void Weights::turn_to(std::uint32_t layer) {
  if (prefetch_.valid()) prefetch_.wait();
  if (read_layer_ && *read_layer_ != layer) {
    for (const auto bytes : checkpoint_->layer_bytes(*read_layer_, true)) release_mapped(bytes);
  }
  read_layer_ = layer;
  if (layer + 1 >= layers_.size()) return;
  auto next = checkpoint_->layer_bytes(layer + 1, prefetch_experts_);
  prefetch_ = std::async(std::launch::async, [owner = checkpoint_, next = std::move(next)] {
    for (const auto bytes : next) prefetch_mapped(bytes);
  });
}

Expected<at::Tensor> Weights::make(WeightRole role, std::uint32_t layer, std::uint32_t expert,
                                   at::ScalarType type) const {
  const auto slice = checkpoint_->weight(role, layer, expert);
  if (!slice) return fail(slice.error());
  return tensor_of(*slice).map([&](const at::Tensor& t) {
    at::Tensor out = t.to(device_, type);
    // Products take rows that lie one after another, or columns that do; anything else is copied once, here.
    const bool usable = out.dim() < 2 ? out.is_contiguous() : out.stride(1) == 1 || out.stride(0) == 1;
    return usable ? out : out.contiguous();
  });
}

// kv_b put together from its two tensors: for each head its keys' rows, then its values'.
Expected<at::Tensor> Weights::latent_projection(std::uint32_t layer) const {
  if (!checkpoint_->names().split_kv_b) return make(WeightRole::kv_b, layer, 0, compute_);
  std::vector<at::Tensor> parts;
  for (std::uint32_t head = 0; head < checkpoint_->spec().heads; ++head) {
    for (const bool values : {false, true}) {
      const auto slice = checkpoint_->latent_head(layer, head, values);
      if (!slice) return fail(slice.error());
      auto part = tensor_of(*slice);
      if (!part) return part;
      parts.push_back(part->to(device_, compute_));
    }
  }
  return at::cat(parts, 0);
}

Expected<blocks::ExpertWeights> Weights::make_expert(std::uint32_t layer, std::uint32_t expert) const {
  blocks::ExpertWeights out;
  std::optional<Error> error;
  const auto read = [&](at::Tensor& place, WeightRole role, at::ScalarType type) {
    if (error) return;
    auto made = make(role, layer, expert, type);
    made ? static_cast<void>(place = *made) : static_cast<void>(error = made.error());
  };
  read(out.gate, WeightRole::expert_gate, compute_);
  if (checkpoint_->spec().activation != Activation::relu) read(out.up, WeightRole::expert_up, compute_);
  read(out.down, WeightRole::expert_down, compute_);
  if (checkpoint_->spec().expert_bias) {
    read(out.gate_bias, WeightRole::expert_gate_bias, at::kFloat);
    read(out.up_bias, WeightRole::expert_up_bias, at::kFloat);
    read(out.down_bias, WeightRole::expert_down_bias, at::kFloat);
  }
  if (error) return fail(std::move(*error));
  return out;
}

// Where products of all experts at once are to be had, their weights lie in one tensor, of which each has a part.
void Weights::stack_experts(blocks::LayerWeights& layer) const {
  if (device_.is_cpu() || layer.experts.empty() || layer.experts.front().gate_up_bias.defined()) return;
  if (!blocks::grouped_product(at::empty({0}, at::TensorOptions().dtype(compute_).device(device_)))) return;
  std::vector<at::Tensor> gate_up, down;
  for (const blocks::ExpertWeights& expert : layer.experts) {
    gate_up.push_back(expert.gate_up);
    down.push_back(expert.down);
  }
  layer.all_gate_up = at::stack(gate_up);
  layer.all_down = at::stack(down);
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    layer.experts[e].gate_up = layer.all_gate_up[static_cast<std::int64_t>(e)];
    layer.experts[e].down = layer.all_down[static_cast<std::int64_t>(e)];
  }
}

Expected<blocks::LayerWeights> Weights::make_layer(std::uint32_t index, const blocks::Interrupt& interrupt) {
  using R = WeightRole;
  const ModelSpec& spec = checkpoint_->spec();
  const LayerSpec& layer = spec.layers[index];
  blocks::LayerWeights out;
  // Reads one weight into `place` unless something failed before or the model has no such weight.
  std::optional<Error> error;
  const auto read = [&](at::Tensor& place, R role, at::ScalarType type) {
    if (error || !find_weight(spec, role, index)) return;
    if (interrupt) interrupt();
    auto made = make(role, index, 0, type);
    made ? static_cast<void>(place = *made) : static_cast<void>(error = made.error());
  };
  const auto read_wide = [&](at::Tensor& place, R role) { read(place, role, at::kFloat); };
  const auto read_product = [&](at::Tensor& place, R role) { read(place, role, compute_); };
  read_wide(out.input_norm, R::input_norm);
  read_wide(out.input_norm_bias, R::input_norm_bias);
  read_wide(out.post_norm, R::post_norm);
  read_wide(out.post_norm_bias, R::post_norm_bias);
  blocks::AttentionWeights& a = out.attention;
  read_product(a.q, R::q);
  read_product(a.k, R::k);
  read_product(a.v, R::v);
  read_product(a.o, R::o);
  read_wide(a.q_bias, R::q_bias);
  read_wide(a.k_bias, R::k_bias);
  read_wide(a.v_bias, R::v_bias);
  read_wide(a.o_bias, R::o_bias);
  read_wide(a.q_norm, R::q_norm);
  read_wide(a.k_norm, R::k_norm);
  read_wide(a.sinks, R::sinks);
  if (layer.mixer == Mixer::latent_attention) {
    read_product(a.q_a, R::q_a);
    read_wide(a.q_a_bias, R::q_a_bias);
    read_wide(a.q_a_norm, R::q_a_norm);
    read_product(a.q_b, R::q_b);
    read_product(a.kv_a, R::kv_a);
    read_wide(a.kv_a_bias, R::kv_a_bias);
    read_wide(a.kv_a_norm, R::kv_a_norm);
    if (!error) {
      auto made = latent_projection(index);
      made ? static_cast<void>(a.kv_b = *made) : static_cast<void>(error = made.error());
    }
  }
  if (layer.mixer == Mixer::mamba) {
    blocks::MambaWeights& m = out.mamba;
    read_product(m.in, R::mamba_in);
    read_wide(m.in_bias, R::mamba_in_bias);
    read_wide(m.convolution, R::mamba_convolution);
    read_wide(m.convolution_bias, R::mamba_convolution_bias);
    read_product(m.x, R::mamba_x);
    read_product(m.dt, R::mamba_dt);
    read_wide(m.dt_bias, R::mamba_dt_bias);
    read_wide(m.a_log, R::mamba_a_log);
    read_wide(m.d, R::mamba_d);
    read_product(m.out, R::mamba_out);
    read_wide(m.out_bias, R::mamba_out_bias);
    read_wide(m.dt_norm, R::mamba_dt_norm);
    read_wide(m.b_norm, R::mamba_b_norm);
    read_wide(m.c_norm, R::mamba_c_norm);
  }
  read_wide(out.cross_norm, R::cross_norm);
  read_product(out.cross.q, R::cross_q);
  read_product(out.cross.k, R::cross_k);
  read_product(out.cross.v, R::cross_v);
  read_product(out.cross.o, R::cross_o);
  read_wide(out.router, R::router);
  read_wide(out.router_bias, R::router_bias);
  read_wide(out.selection_bias, R::selection_bias);
  read_product(out.shared.gate, R::shared_gate);
  read_product(out.shared.up, R::shared_up);
  read_product(out.shared.down, R::shared_down);
  read_wide(out.shared_expert_gate, R::shared_expert_gate);
  read_product(out.dense.gate, R::dense_gate);
  read_product(out.dense.up, R::dense_up);
  read_product(out.dense.down, R::dense_down);
  if (error) return fail(std::move(*error));
  if (!resident_) {
    const auto cache = cache_;
    cache->experts.clear();
    cache->used = 0;
    out.fetch_expert = [this, cache, index](std::size_t e) {
      {
        const std::lock_guard lock(cache->mutex);
        if (const auto it = cache->experts.find(e); it != cache->experts.end()) return it->second;
      }
      auto made = make_expert(index, static_cast<std::uint32_t>(e));
      if (!made) throw WeightError{std::move(made.error())};
      const std::uint64_t bytes = bytes_of(made->gate) + bytes_of(made->up) + bytes_of(made->down);
      const std::lock_guard lock(cache->mutex);
      if (cache->used + bytes <= cache->limit && cache->experts.emplace(e, *made).second) cache->used += bytes;
      return *made;
    };
    return out;
  }
  for (std::uint32_t e = 0; e < layer.experts; ++e) {
    if (interrupt) interrupt();
    auto made = make_expert(index, e);
    if (!made) return fail(std::move(made.error()));
    made->gate_up = made->up.defined() ? at::cat({made->gate, made->up}, 0) : made->gate;
    if (made->gate_bias.defined()) made->gate_up_bias = at::cat({made->gate_bias, made->up_bias}, 0);
    made->gate = made->up = made->gate_bias = made->up_bias = at::Tensor();
    out.experts.push_back(std::move(*made));
  }
  stack_experts(out);
  // One product for three where nothing has to be added to its parts; with biases the sums of three are also closer to
  // the reference's in the last bits.
  if (a.q.defined() && a.k.defined() && a.v.defined() && !a.q_bias.defined()) {
    a.qkv = at::cat({a.q, a.k, a.v}, 0);
    a.q = a.k = a.v = at::Tensor();
  }
  return out;
}

bool Weights::stream() {
  if (!resident_) return false;
  resident_ = false;
  layers_.assign(layers_.size(), std::nullopt);
  lm_head_ = at::Tensor();
  return true;
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
      stream();  // the device cannot hold all layers
    }
  }
  streamed_ = blocks::LayerWeights();  // the last layer's copies go before the next one's come
  if (!resident_) turn_to(index);
  auto made = make_layer(index, interrupt);
  if (!made) return fail(made.error());
  if (resident_) return &layers_[index].emplace(std::move(*made));
  streamed_ = std::move(*made);
  return &streamed_;
}

Expected<at::Tensor> Weights::embed(const at::Tensor& ids) {
  const auto slice = checkpoint_->weight(WeightRole::embedding);
  if (!slice) return fail(slice.error());
  const double multiplier = checkpoint_->spec().embedding_multiplier;
  at::Tensor rows;
  if (slice->coding == WeightSlice::Coding::plain && scalar_type(slice->tensor.type)) {
    auto table = tensor_of(*slice);
    if (!table) return table;
    rows = at::index_select(*table, 0, ids).to(at::kFloat);
  } else {
    // Only the rows that are asked for are decoded.
    rows = at::empty({ids.size(0), static_cast<std::int64_t>(slice->columns)}, at::kFloat);
    const auto* id = ids.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < ids.size(0); ++i) {
      const std::span<float> row(rows.data_ptr<float>() + i * rows.size(1), slice->columns);
      if (auto done = read_rows(*slice, static_cast<std::uint64_t>(id[i]), row); !done) return fail(done.error());
    }
  }
  if (multiplier != 1.0) rows = rows * multiplier;
  return rows.to(device_);
}

Expected<at::Tensor> Weights::outside(WeightRole role, std::uint32_t layer) {
  return make(role, layer, 0, at::kFloat);
}

Expected<at::Tensor> Weights::lm_head() {
  if (lm_head_.defined()) return lm_head_;
  const bool tied = checkpoint_->spec().tied_embeddings;
  auto made = make(tied ? WeightRole::embedding : WeightRole::lm_head, 0, 0, compute_);
  if (made && resident_) lm_head_ = *made;
  return made;
}

}  // namespace moescope::torch_engine
