#include "core/model/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "core/io/output_file.h"
#include "core/io/safetensors_writer.h"
#include "core/model/families/family.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t block_values = 1U << 16U;

std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

std::uint64_t name_seed(const std::string& name, std::uint64_t seed) {
  std::uint64_t hash = mix(seed);
  for (const char c : name) hash = mix(hash ^ static_cast<std::uint8_t>(c));
  return hash;
}

// Near-normal number of index `i` in a stream: the sum of the four 16-bit parts of one mixed word, mean 0, deviation 1.
float near_normal(std::uint64_t stream, std::uint64_t i) {
  const std::uint64_t word = mix(stream + i * 0x9E3779B97F4A7C15ULL);
  const auto sum = static_cast<std::int32_t>((word & 0xFFFFU) + ((word >> 16U) & 0xFFFFU) + ((word >> 32U) & 0xFFFFU) +
                                             (word >> 48U));
  // Variance of one part is (65536^2 - 1) / 12, of the sum four times that: deviation 37837.2.
  return static_cast<float>(sum - 131070) * (1.0F / 37837.22746F);
}

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

struct Plan {
  ModelSpec spec;
  nlohmann::json config;
  std::vector<TensorSpec> tensors;
  std::map<std::string, WeightRole> roles;
  std::uint64_t bytes = 0;
};

Expected<Plan> make_plan(const SynthOptions& o) {
  const ModelFamily* family = find_family(o.family);
  if (!family) {
    std::string known;
    for (const ModelFamily& f : model_families()) known += (known.empty() ? "" : ", ") + f.name;
    return fail(ErrorKind::usage, fmt::format("there is no model family \"{}\"", o.family), "--family",
                "Known: " + known);
  }
  if (o.type != DType::bf16 && o.type != DType::f32) {
    return fail(ErrorKind::usage, fmt::format("weights cannot be written as {}", dtype_name(o.type)), "--dtype",
                "Known: float32, bfloat16");
  }
  Plan plan;
  LayerSpec layer;
  layer.experts = o.experts;
  layer.k = o.k;
  layer.intermediate = o.intermediate;
  layer.rule.renormalise = o.renormalise;
  plan.spec.family = o.family;
  plan.spec.vocabulary = o.vocabulary;
  plan.spec.hidden = o.hidden;
  plan.spec.heads = o.heads;
  plan.spec.kv_heads = o.kv_heads == 0 ? o.heads : o.kv_heads;
  plan.spec.head_dim = o.heads == 0 ? 0 : o.hidden / o.heads;
  plan.spec.max_positions = o.max_positions;
  plan.spec.tied_embeddings = o.tied_embeddings;
  plan.spec.torch_dtype = o.type == DType::bf16 ? "bfloat16" : "float32";
  plan.spec.layers.assign(std::min(o.layers, 4097U), layer);  // more are refused below
  // As text and back, so that the reader sees what a file would give it.
  plan.config = nlohmann::json::parse(family->write_config(plan.spec).dump());
  // The family's own reader checks the sizes, so that what is written can be opened.
  ConfigReader reader(plan.config, "config.json");
  auto spec = family->read_config(reader);
  if (!spec) {
    Error error = std::move(spec.error());
    error.kind = ErrorKind::usage;
    error.advice = "Change the sizes asked for";
    return fail(std::move(error));
  }
  plan.spec = std::move(*spec);
  for_each_needed_tensor(plan.spec, family->names, [&](const NeededTensor& need) {
    const auto bytes = byte_size(o.type, need.shape);
    plan.bytes += bytes.value_or(0);
    plan.tensors.push_back({need.name, o.type, need.shape});
    plan.roles.emplace(need.name, need.role);
    return plan.tensors.size() <= (1U << 22U) && bytes.has_value();
  });
  if (plan.tensors.size() > (1U << 22U)) {
    return fail(ErrorKind::usage, "the model would have more than four million tensors", "--layers, --experts",
                "Ask for fewer layers or experts");
  }
  return plan;
}

bool is_expert_bias(WeightRole role) {
  return role == WeightRole::expert_gate_bias || role == WeightRole::expert_up_bias ||
         role == WeightRole::expert_down_bias;
}

std::uint32_t first_layer_with(const ModelSpec& spec, WeightRole role) {
  for (std::uint32_t l = 0; l < spec.layers.size(); ++l) {
    if (find_weight(spec, role, l)) return l;
  }
  return 0;
}

// Mean and deviation of a role's numbers.
struct Spread {
  float mean = 0.0F, deviation = 0.0F;
};

Spread spread(WeightRole role, const std::vector<std::uint64_t>& shape, const ModelSpec& spec) {
  using R = WeightRole;
  switch (role) {
    case R::final_norm:
    case R::input_norm:
    case R::post_norm:
    case R::q_norm:
    case R::k_norm:
    case R::q_a_norm:
    case R::kv_a_norm:
    case R::mamba_dt_norm:
    case R::mamba_b_norm:
    case R::mamba_c_norm:
    case R::mamba_d:
    case R::encoder_norm:
    case R::cross_norm:
      return {1.0F, 0.1F};
    case R::embedding:
      return {0.0F, static_cast<float>(1.0 / spec.embedding_multiplier)};
    case R::router:
      return {0.0F, 2.0F / std::sqrt(static_cast<float>(spec.hidden))};
    case R::relative_bias:
      return {0.0F, 1.0F};
    case R::mamba_a_log:
      return {0.5F, 0.25F};
    case R::mamba_dt_bias:
      return {-3.0F, 0.5F};
    default:
      break;
  }
  if (shape.size() == 1 || is_expert_bias(role)) return {0.0F, 0.1F};
  // The inputs of one product: the last size, or the one before where the outputs lie along the rows.
  const WeightUse use = find_weight(spec, role, first_layer_with(spec, role)).value_or(WeightUse{});
  std::uint64_t inputs = use.columns > 1 ? use.columns : shape.back();
  // Where scores are not divided by the root of a head's width, the queries are.
  if (spec.attention_scale == 1.0 && (role == R::q || role == R::cross_q)) inputs *= spec.head_dim;
  return {0.0F, 1.0F / std::sqrt(static_cast<float>(inputs))};
}

// Writes the values of one tensor in blocks.
Expected<void> write_tensor(SafetensorsWriter& writer, const TensorSpec& tensor, const Plan& plan, std::uint64_t seed,
                            const WorkContext& work) {
  std::uint64_t count = 1;
  for (const std::uint64_t d : tensor.shape) count *= d;
  const auto [mean, scale] = spread(plan.roles.at(tensor.name), tensor.shape, plan.spec);
  const std::uint64_t stream = name_seed(tensor.name, seed);
  std::vector<float> wide;
  std::vector<std::uint16_t> narrow;
  for (std::uint64_t begin = 0; begin < count; begin += block_values) {
    if (work.cancelled()) return fail(ErrorKind::cancelled, "stopped", tensor.name, "No checkpoint was written");
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(block_values, count - begin));
    wide.resize(n);
    for (std::size_t i = 0; i < n; ++i) wide[i] = mean + scale * near_normal(stream, begin + i);
    std::span<const std::byte> bytes = std::as_bytes(std::span<const float>(wide));
    if (tensor.type == DType::bf16) {
      narrow.resize(n);
      for (std::size_t i = 0; i < n; ++i) narrow[i] = to_bf16(wide[i]);
      bytes = std::as_bytes(std::span<const std::uint16_t>(narrow));
    }
    if (auto ok = writer.write(tensor.name, bytes); !ok) return ok;
  }
  return {};
}

// Shards as lists of tensors.
std::vector<std::vector<TensorSpec>> split_into_shards(const Plan& plan, std::uint64_t shard_bytes) {
  std::vector<std::vector<TensorSpec>> shards(1);
  std::uint64_t filled = 0;
  for (const TensorSpec& tensor : plan.tensors) {
    const std::uint64_t bytes = byte_size(tensor.type, tensor.shape).value_or(0);
    if (shard_bytes != 0 && !shards.back().empty() && filled + bytes > shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += bytes;
  }
  return shards;
}

Expected<void> check_room(const fs::path& folder, std::uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= bytes + (1U << 20U)) return {};
  return fail(ErrorKind::input, fmt::format("the weights need {} bytes, the disk has {} free", bytes, space.available),
              folder.string(), "Free some space or write elsewhere");
}

// Removes what was written unless told to keep it.
struct Leftovers {
  std::vector<fs::path> files;
  bool keep = false;
  ~Leftovers() {
    std::error_code ignored;
    for (const fs::path& file : files) {
      if (!keep) fs::remove(file, ignored);
    }
  }
};

Expected<void> write_all(const SynthOptions& options, const Plan& plan, const fs::path& folder, const WorkContext& work,
                         Leftovers& made, SynthSummary& summary) {
  const auto shards = split_into_shards(plan, options.shard_bytes);
  nlohmann::json weight_map = nlohmann::json::object();
  std::size_t done = 0;
  for (std::size_t s = 0; s < shards.size(); ++s) {
    const std::string name = shards.size() == 1 ? std::string("model.safetensors")
                                                : fmt::format("model-{:05}-of-{:05}.safetensors", s + 1, shards.size());
    auto writer = SafetensorsWriter::create(folder / name, shards[s], {{"format", "pt"}});
    if (!writer) return fail(std::move(writer.error()));
    for (const TensorSpec& tensor : shards[s]) {
      work.report(fmt::format("Writing {}", tensor.name),
                  static_cast<double>(done++) / static_cast<double>(plan.tensors.size()));
      if (auto ok = write_tensor(*writer, tensor, plan, options.seed, work); !ok) return ok;
      weight_map[tensor.name] = name;
    }
    if (auto ok = writer->finish(); !ok) return ok;
    made.files.push_back(folder / name);
  }
  summary.files = static_cast<std::uint32_t>(shards.size());
  if (shards.size() > 1) {
    const nlohmann::json index{{"metadata", {{"total_size", plan.bytes}}}, {"weight_map", weight_map}};
    made.files.push_back(folder / "model.safetensors.index.json");
    if (auto ok = write_whole_file(made.files.back(), index.dump(1)); !ok) return ok;
  }
  if (!options.tokenizer.empty()) {
    const auto text = read_whole_file(options.tokenizer, 256U << 20U);
    if (!text) return fail(text.error());
    made.files.push_back(folder / "tokenizer.json");
    if (auto ok = write_whole_file(made.files.back(), *text); !ok) return ok;
  }
  // Last: a folder with a config is a whole checkpoint.
  made.files.push_back(folder / "config.json");
  return write_whole_file(made.files.back(), plan.config.dump(1));
}

}  // namespace

Expected<SynthSummary> write_random_checkpoint(const SynthOptions& options, const fs::path& folder,
                                               const WorkContext& work) {
  const auto plan = make_plan(options);
  if (!plan) return fail(plan.error());
  std::error_code error;
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json"}) {
    if (fs::exists(folder / name, error)) {
      return fail(ErrorKind::usage, fmt::format("the folder already has a {}", name), folder.string(),
                  "Name another folder, or remove that one first");
    }
  }
  fs::create_directories(folder, error);
  if (error) return fail(ErrorKind::input, "the folder cannot be made: " + error.message(), folder.string());
  if (auto ok = check_room(folder, plan->bytes); !ok) return fail(std::move(ok.error()));
  SynthSummary summary;
  summary.parameters = plan->spec.parameters_total();
  summary.bytes = plan->bytes;
  Leftovers made;
  if (auto ok = write_all(options, *plan, folder, work, made, summary); !ok) return fail(std::move(ok.error()));
  made.keep = true;
  work.report("Written", 1.0);
  return summary;
}

}  // namespace moescope
