#include "plugins/torch_engine/train/load_model.h"

#include <ATen/ATen.h>

#include "core/model/checkpoint.h"

namespace moescope::train {
namespace {

// A copy in float32; the mapped bytes stay untouched.
at::Tensor as_float(const TensorView& view) {
  std::vector<std::int64_t> shape(view.shape.begin(), view.shape.end());
  const at::ScalarType type = view.type == DType::bf16  ? at::kBFloat16
                              : view.type == DType::f16 ? at::kHalf
                                                        : at::kFloat;
  at::Tensor copy = at::empty(shape, type);
  std::copy(view.bytes.begin(), view.bytes.end(), static_cast<std::byte*>(copy.data_ptr()));
  return copy.to(at::kFloat);
}

}  // namespace

Expected<LoadedModel> load_model(const std::filesystem::path& folder) {
  const auto opened = Checkpoint::open(folder);
  if (!opened) return Unexpected(opened.error());
  const Checkpoint& checkpoint = **opened;
  const ModelSpec& spec = checkpoint.spec();
  if (spec.family != "olmoe" || spec.layers.empty()) {
    return fail(ErrorKind::input, "only the olmoe family is trained and checked here", folder.string(),
                "Give a model that moescope-train wrote.");
  }
  if (checkpoint.tokenizer() == nullptr) {
    return fail(checkpoint.tokenizer_error().value_or(Error{
        ErrorKind::input, "the model has no tokenizer", folder.string(), "Put tokenizer.json beside the weights."}));
  }
  const LayerSpec& first = spec.layers.front();
  LoadedModel model;
  ModelShape& s = model.shape;
  s.vocabulary = spec.vocabulary;
  s.hidden = spec.hidden;
  s.layers = static_cast<std::int64_t>(spec.layers.size());
  s.heads = spec.heads;
  s.experts = first.experts;
  s.k = first.k;
  s.intermediate = first.intermediate;
  s.max_positions = spec.max_positions;
  s.norm_epsilon = spec.norm_epsilon;
  s.rope_theta = spec.rope.theta;
  s.norm_topk_prob = first.rule.renormalise;
  model.weights = initial_weights(s, 0);
  const at::NoGradGuard no_gradients;
  for (const Parameter& p : parameters(model.weights)) {
    const TensorView* view = checkpoint.tensor(p.name);
    if (view == nullptr || view->elements() != static_cast<std::uint64_t>(p.tensor.numel()) ||
        (view->type != DType::bf16 && view->type != DType::f16 && view->type != DType::f32)) {
      return fail(ErrorKind::input, "a tensor is missing or has another shape or type", p.name,
                  "Give a model that moescope-train wrote.");
    }
    at::Tensor(p.tensor).copy_(as_float(*view).view(p.tensor.sizes()));
  }
  if (auto lost = checkpoint.fault()) return fail(*lost);
  model.config_hash = checkpoint.config_hash();
  // The checkpoint owns its tokenizer: the pointer keeps both.
  model.tokenizer = std::shared_ptr<const Tokenizer>(*opened, checkpoint.tokenizer());
  return model;
}

}  // namespace moescope::train
