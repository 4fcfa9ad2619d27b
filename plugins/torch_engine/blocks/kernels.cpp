#include "plugins/torch_engine/blocks/kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

// One copy of each loop per instruction set, chosen when the module is loaded: builds stay portable.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MOESCOPE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MOESCOPE_CLONES
#endif

namespace moescope::blocks::kernels {
namespace {

// e^x to about 1 ulp for finite x, in arithmetic that compilers turn into vectors: x = n·ln 2 + r, |r| ≤ ln 2 / 2,
// e^r by its Taylor polynomial to r⁷, 2^n by its bits. Below −87 the result is held at e^−87.
[[gnu::always_inline]] inline float fast_exp(float x) {
  x = std::min(std::max(x, -87.0F), 88.0F);
  const float n = (x * 1.44269504F + 12582912.0F) - 12582912.0F;  // rounds to the nearest whole number
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

// Sixteen numbers side by side; compilers split them where registers are narrower.
using Sixteen [[gnu::vector_size(64)]] = float;
using SixteenBits [[gnu::vector_size(64)]] = std::uint32_t;
using SixteenHalves [[gnu::vector_size(32)]] = std::uint16_t;

[[gnu::always_inline]] inline void load(const float* from, Sixteen& to) {
  std::memcpy(&to, from, sizeof to);
}

// A bfloat16 is the upper half of a float.
[[gnu::always_inline]] inline void load(const std::uint16_t* from, Sixteen& to) {
  SixteenHalves halves;
  std::memcpy(&halves, from, sizeof halves);
  const SixteenBits bits = __builtin_convertvector(halves, SixteenBits) << 16U;
  std::memcpy(&to, &bits, sizeof to);
}

[[gnu::always_inline]] inline float widened(float value) {
  return value;
}
[[gnu::always_inline]] inline float widened(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16U);
}

// Σ w·x along a row, front to back as memory likes it, in four sums that do not wait for each other.
template <typename Weight>
[[gnu::always_inline]] inline float dot(const Weight* w, const float* x, std::int64_t width) {
  Sixteen sums[4] = {}, a, b;
  std::int64_t i = 0;
  for (; i + 64 <= width; i += 64) {
    for (int k = 0; k < 4; ++k) {
      load(w + i + 16 * k, a);
      load(x + i + 16 * k, b);
      sums[k] += a * b;
    }
  }
  for (; i + 16 <= width; i += 16) {
    load(w + i, a);
    load(x + i, b);
    sums[0] += a * b;
  }
  const Sixteen all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  // Halves are added to each other, which rounds less than one after the other.
  float part[16];
  std::memcpy(part, &all, sizeof part);
  for (int half = 8; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) part[k] += part[k + half];
  }
  float sum = part[0];
  for (; i < width; ++i) sum += widened(w[i]) * x[i];
  return sum;
}

MOESCOPE_CLONES float row_dot(const float* w, const float* x, std::int64_t width) {
  return dot(w, x, width);
}

MOESCOPE_CLONES float row_dot(const std::uint16_t* w, const float* x, std::int64_t width) {
  return dot(w, x, width);
}

// Rows [begin, end) of the weight with each of the n rows of x.
template <typename Weight>
void dot_rows(const Weight* weight, std::int64_t stride, const float* x, std::int64_t n, std::int64_t width,
              std::int64_t begin, std::int64_t end, std::int64_t outputs, float* out) {
  for (std::int64_t row = begin; row < end; ++row) {
    for (std::int64_t i = 0; i < n; ++i) out[i * outputs + row] = row_dot(weight + row * stride, x + i * width, width);
  }
}

MOESCOPE_CLONES void norm_row(const float* x, const float* weight, float epsilon, std::int64_t width, float* out) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < width; ++i) squares += x[i] * x[i];
  const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) out[i] = x[i] * scale * weight[i];
}

MOESCOPE_CLONES void clip_row(float* x, float clip, std::int64_t width) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) x[i] = std::min(std::max(x[i], -clip), clip);
}

// `x` is the rotated part of the first head; heads lie `stride` apart.
MOESCOPE_CLONES void rotate_row(float* x, const float* cos, const float* sin, std::int64_t heads, std::int64_t stride,
                                std::int64_t half) {
  for (std::int64_t h = 0; h < heads; ++h, x += stride) {
#pragma omp simd
    for (std::int64_t i = 0; i < half; ++i) {
      const float low = x[i], high = x[i + half];
      x[i] = low * cos[i] - high * sin[i];
      x[i + half] = high * cos[i] + low * sin[i];
    }
  }
}

MOESCOPE_CLONES void rotate_pairs(float* x, const float* cos, const float* sin, std::int64_t heads, std::int64_t stride,
                                  std::int64_t half) {
  for (std::int64_t h = 0; h < heads; ++h, x += stride) {
    for (std::int64_t i = 0; i < half; ++i) {
      const float even = x[2 * i], odd = x[2 * i + 1];
      x[2 * i] = even * cos[i] - odd * sin[i];
      x[2 * i + 1] = odd * cos[i] + even * sin[i];
    }
  }
}

MOESCOPE_CLONES void norm_row_plain(float* x, float epsilon, std::int64_t width) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < width; ++i) squares += x[i] * x[i];
  const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) x[i] *= scale;
}

// softmax(scale · row) in place; `sink` is a further logit, −infinity = none.
MOESCOPE_CLONES void softmax_row(float* row, float scale, std::int64_t keys, float sink) {
  float most = row[0];
#pragma omp simd reduction(max : most)
  for (std::int64_t i = 0; i < keys; ++i) most = std::max(most, row[i]);
  most = std::max(most * scale, sink);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < keys; ++i) {
    row[i] = fast_exp(row[i] * scale - most);
    sum += row[i];
  }
  if (sink > -std::numeric_limits<float>::infinity()) sum += fast_exp(sink - most);
  const float factor = 1.0F / sum;
#pragma omp simd
  for (std::int64_t i = 0; i < keys; ++i) row[i] *= factor;
}

MOESCOPE_CLONES void silu_row(const float* gate, const float* up, std::int64_t width, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) out[i] = gate[i] / (1.0F + fast_exp(-gate[i])) * up[i];
}

MOESCOPE_CLONES void clamped_swiglu_row(const float* gate, const float* up, float limit, std::int64_t width,
                                        float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) {
    const float g = std::min(gate[i], limit);
    const float u = std::min(std::max(up[i], -limit), limit);
    out[i] = g / (1.0F + fast_exp(-1.702F * g)) * (u + 1.0F);
  }
}

MOESCOPE_CLONES void add_scaled(const float* from, float weight, std::int64_t width, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) out[i] += weight * from[i];
}

MOESCOPE_CLONES float log_sum_exp(const float* row, std::int64_t width) {
  float most = row[0];
#pragma omp simd reduction(max : most)
  for (std::int64_t i = 0; i < width; ++i) most = std::max(most, row[i]);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < width; ++i) sum += fast_exp(row[i] - most);
  return most + std::log(sum);
}

// Rows per piece so that a piece is worth a thread.
std::int64_t grain(std::int64_t width) {
  return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, width));
}

}  // namespace

bool inference_on_cpu(const at::Tensor& x) {
  return !at::GradMode::is_enabled() && x.is_cpu();
}

bool usable(const at::Tensor& x) {
  return inference_on_cpu(x) && x.scalar_type() == at::kFloat && x.stride(-1) == 1;
}

void parallel_tasks(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  std::atomic<std::int64_t> next{0};
  const std::int64_t threads = std::min<std::int64_t>(count, at::get_num_threads());
  at::parallel_for(0, threads, 1, [&](std::int64_t, std::int64_t) {
    const c10::InferenceMode inference;  // a guard of the thread, not inherited
    for (std::int64_t i = next++; i < count; i = next++) task(i);
  });
}

bool thin(const at::Tensor& x, const at::Tensor& weight) {
  constexpr std::int64_t most_rows = 4;
  return inference_on_cpu(x) && x.dim() == 2 && x.size(0) <= most_rows && weight.dim() == 2 && weight.is_cpu() &&
         weight.stride(1) == 1 && x.scalar_type() == weight.scalar_type() &&
         (weight.scalar_type() == at::kFloat || weight.scalar_type() == at::kBFloat16);
}

at::Tensor thin_product(const at::Tensor& x, const at::Tensor& weight) {
  const std::int64_t rows = x.size(0), width = x.size(1), outputs = weight.size(0), stride = weight.stride(0);
  const at::Tensor wide = x.to(at::kFloat).contiguous();
  at::Tensor out = at::empty({rows, outputs}, wide.options());
  const float* from = wide.data_ptr<float>();
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, outputs, grain(width), [&](std::int64_t begin, std::int64_t end) {
    if (weight.scalar_type() == at::kFloat) {
      dot_rows(weight.data_ptr<float>(), stride, from, rows, width, begin, end, outputs, to);
    } else {
      const auto* bits = reinterpret_cast<const std::uint16_t*>(weight.data_ptr<at::BFloat16>());
      dot_rows(bits, stride, from, rows, width, begin, end, outputs, to);
    }
  });
  return out;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const std::int64_t rows = x.size(0), width = x.size(1), stride = x.stride(0);
  at::Tensor out = at::empty({rows, width}, x.options());
  const at::Tensor w = weight.contiguous();
  const float *from = x.data_ptr<float>(), *factor = w.data_ptr<float>();
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      norm_row(from + r * stride, factor, static_cast<float>(epsilon), width, to + r * width);
    }
  });
  return out;
}

at::Tensor prepare_heads(const at::Tensor& x, const HeadPreparation& how, const RopeTables& tables) {
  const std::int64_t rows = x.size(0), width = x.size(1), stride = x.stride(0), dim = how.head_dim, heads = width / dim;
  const std::int64_t half = how.rotate ? tables.cos.size(1) : 0;
  at::Tensor out = at::empty({rows, width}, x.options());
  const at::Tensor w = how.weight.defined() ? how.weight.contiguous() : how.weight;
  const float* from = x.data_ptr<float>();
  const float* factor = w.defined() ? w.data_ptr<float>() : nullptr;
  const float* cos = how.rotate ? tables.cos.data_ptr<float>() : nullptr;
  const float* sin = how.rotate ? tables.sin.data_ptr<float>() : nullptr;
  const auto epsilon = static_cast<float>(how.epsilon);
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* row = to + r * width;
      const float* source = from + r * stride;
      if (factor && how.norm == QkNorm::whole_width) {
        norm_row(source, factor, epsilon, width, row);
      } else if (factor && how.norm == QkNorm::per_head) {
        for (std::int64_t h = 0; h < heads; ++h) norm_row(source + h * dim, factor, epsilon, dim, row + h * dim);
      } else {
        std::copy_n(source, width, row);
      }
      if (how.clip >= 0) clip_row(row, static_cast<float>(how.clip), width);
      if (!how.rotate) continue;
      const auto rotate = tables.interleaved ? rotate_pairs : rotate_row;
      rotate(row + how.rotary_first, cos + r * half, sin + r * half, heads, dim, half);
      if (how.norm != QkNorm::per_head_after_rotation) continue;
      for (std::int64_t h = 0; h < heads; ++h) norm_row_plain(row + h * dim, epsilon, dim);
    }
  });
  return out;
}

void causal_softmax(at::Tensor& scores, double scale, std::optional<float> sink,
                    const std::function<std::int64_t(std::int64_t)>& begin,
                    const std::function<std::int64_t(std::int64_t)>& end) {
  const std::int64_t rows = scores.size(0), keys = scores.size(1);
  const float extra = sink.value_or(-std::numeric_limits<float>::infinity());
  auto* row = scores.data_ptr<float>();
  for (std::int64_t r = 0; r < rows; ++r, row += keys) {
    const std::int64_t low = begin(r), high = std::min(keys, end(r));
    std::fill(row, row + low, 0.0F);
    softmax_row(row + low, static_cast<float>(scale), high - low, extra);
    std::fill(row + high, row + keys, 0.0F);
  }
}

at::Tensor silu_product(const at::Tensor& both) {
  const std::int64_t rows = both.size(0), width = both.size(1) / 2, stride = both.stride(0);
  at::Tensor out = at::empty({rows, width}, both.options());
  const float* from = both.data_ptr<float>();
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      silu_row(from + r * stride, from + r * stride + width, width, to + r * width);
    }
  });
  return out;
}

at::Tensor clamped_swiglu_product(const at::Tensor& both, double limit) {
  const std::int64_t rows = both.size(0), width = both.size(1) / 2, stride = both.stride(0);
  at::Tensor out = at::empty({rows, width}, both.options());
  const float* from = both.data_ptr<float>();
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      clamped_swiglu_row(from + r * stride, from + r * stride + width, static_cast<float>(limit), width,
                         to + r * width);
    }
  });
  return out;
}

at::Tensor weighted_sum(const at::Tensor& outputs, const at::Tensor& place, const at::Tensor& weights) {
  const std::int64_t tokens = weights.size(0), k = weights.size(1), width = outputs.size(1);
  at::Tensor out = at::empty({tokens, width}, outputs.options());
  const at::Tensor dense = weights.contiguous();
  const float *from = outputs.data_ptr<float>(), *weight = dense.data_ptr<float>();
  const auto* at_row = place.data_ptr<std::int64_t>();
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, tokens, grain(width * k), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* sum = to + t * width;
      std::fill_n(sum, width, 0.0F);
      for (std::int64_t s = t * k; s < (t + 1) * k; ++s) {
        if (at_row[s] >= 0) add_scaled(from + at_row[s] * width, weight[s], width, sum);
      }
    }
  });
  return out;
}

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets) {
  const std::int64_t rows = logits.size(0), width = logits.size(1), stride = logits.stride(0);
  at::Tensor out = at::empty({rows}, logits.options());
  const float* from = logits.data_ptr<float>();
  const auto* target = targets.data_ptr<std::int64_t>();
  auto* to = out.data_ptr<float>();
  at::parallel_for(0, rows, grain(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      to[r] = log_sum_exp(from + r * stride, width) - from[r * stride + target[r]];
    }
  });
  return out;
}

}  // namespace moescope::blocks::kernels
