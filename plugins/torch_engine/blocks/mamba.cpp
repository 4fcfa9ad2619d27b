#include "plugins/torch_engine/blocks/mamba.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"

namespace moescope::blocks {
namespace {

at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor out = at::matmul(x, weight.t()).to(at::kFloat);
  return bias.defined() ? out + bias.to(at::kFloat) : out;
}

// silu of the causal convolution of each channel: u [tokens, M], taps [M, c].
at::Tensor convolved(const at::Tensor& u, const MambaWeights& w, const PackedSequences& sequences) {
  const std::int64_t taps = w.convolution.size(1);
  at::Tensor out = at::zeros_like(u);
  std::int64_t first = 0;
  for (const std::int64_t length : sequences.lengths) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::int64_t back = taps - 1 - tap;
      if (back >= length) continue;
      const at::Tensor part = u.narrow(0, first, length - back) * w.convolution.select(1, tap);
      out.narrow(0, first + back, length - back).add_(part);
    }
    first += length;
  }
  if (w.convolution_bias.defined()) out.add_(w.convolution_bias);
  return at::silu(out);
}

// What the scan reads, all dense float32 on the CPU.
struct Scan {
  at::Tensor u, delta, b, c;  // [tokens, M], [tokens, M], [tokens, S], [tokens, S]
  at::Tensor a, d;            // [M, S] (negative), [M]
};

// state = exp(Δ·A)·state + Δ·B·u; y = C·state + D·u. Channels are independent of each other.
at::Tensor scanned(const Scan& s, const PackedSequences& sequences, const Interrupt& interrupt) {
  const std::int64_t inner = s.a.size(0), states = s.a.size(1);
  at::Tensor out = at::empty_like(s.u);
  const float *u = s.u.data_ptr<float>(), *delta = s.delta.data_ptr<float>(), *b = s.b.data_ptr<float>(),
              *c = s.c.data_ptr<float>(), *a = s.a.data_ptr<float>(), *d = s.d.data_ptr<float>();
  auto* y = out.data_ptr<float>();
  std::int64_t first = 0;
  for (const std::int64_t length : sequences.lengths) {
    if (interrupt) interrupt();
    at::parallel_for(0, inner, 16, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> state(static_cast<std::size_t>(states));
      for (std::int64_t m = begin; m < end; ++m) {
        std::fill(state.begin(), state.end(), 0.0F);
        for (std::int64_t t = first; t < first + length; ++t) {
          const float step = delta[t * inner + m], value = u[t * inner + m];
          float sum = d[m] * value;
          for (std::int64_t n = 0; n < states; ++n) {
            float& held = state[static_cast<std::size_t>(n)];
            held = std::exp(step * a[m * states + n]) * held + step * b[t * states + n] * value;
            sum += c[t * states + n] * held;
          }
          y[t * inner + m] = sum;
        }
      }
    });
    first += length;
  }
  return out;
}

}  // namespace

at::Tensor mamba_mixer(const at::Tensor& x, const MambaWeights& w, double norm_epsilon,
                       const PackedSequences& sequences, const Interrupt& interrupt) {
  const std::int64_t inner = w.a_log.size(0), states = w.a_log.size(1), rank = w.dt.size(1);
  const at::Tensor both = product(x, w.in, w.in_bias);
  if (interrupt) interrupt();
  const at::Tensor u = convolved(both.narrow(1, 0, inner), w, sequences);
  const at::Tensor parts = product(u.to(x.scalar_type()), w.x, {});
  const at::Tensor step = rms_norm(parts.narrow(1, 0, rank).contiguous(), w.dt_norm, norm_epsilon);
  Scan scan;
  const auto ready = [](const at::Tensor& t) { return t.to(at::kCPU, at::kFloat).contiguous(); };
  scan.u = ready(u);
  scan.delta = ready(at::softplus(product(step.to(x.scalar_type()), w.dt, w.dt_bias)));
  scan.b = ready(rms_norm(parts.narrow(1, rank, states).contiguous(), w.b_norm, norm_epsilon));
  scan.c = ready(rms_norm(parts.narrow(1, rank + states, states).contiguous(), w.c_norm, norm_epsilon));
  scan.a = ready(at::neg(at::exp(w.a_log)));
  scan.d = ready(w.d);
  const at::Tensor y = scanned(scan, sequences, interrupt).to(x.device());
  const at::Tensor gated = y * at::silu(both.narrow(1, inner, inner));
  if (interrupt) interrupt();
  return product(gated.to(x.scalar_type()), w.out, w.out_bias);
}

}  // namespace moescope::blocks
