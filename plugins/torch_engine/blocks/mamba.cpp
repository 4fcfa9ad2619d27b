#include "plugins/torch_engine/blocks/mamba.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "plugins/torch_engine/blocks/kernels.h"
#include "plugins/torch_engine/blocks/norm.h"
#include "plugins/torch_engine/blocks/projection.h"

namespace moescope::blocks {
namespace {

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

// The same for tokens that follow those in the cache.
at::Tensor convolved_after(MambaCache& cache, const at::Tensor& u, const MambaWeights& w) {
  const at::Tensor all = cache.inputs.defined() ? at::cat({cache.inputs, u}, 0) : u;
  const std::int64_t before = all.size(0) - u.size(0);
  at::Tensor out = convolved(all, w, {{all.size(0)}}).narrow(0, before, u.size(0));
  const std::int64_t kept = std::min(w.convolution.size(1) - 1, all.size(0));
  cache.inputs = all.narrow(0, all.size(0) - kept, kept).contiguous();
  return out;
}

// What the scan reads, all dense float32 on the CPU.
struct Scan {
  at::Tensor u, delta, b, c;  // [tokens, M], [tokens, M], [tokens, S], [tokens, S]
  at::Tensor a, d;            // [M, S] (negative), [M]
};

// state = exp(Δ·A)·state + Δ·B·u; y = C·state + D·u. Channels are independent of each other.
// `held` [M, S]: the state before the first token of the only sequence, and after its last; undefined = zeros.
at::Tensor scanned(const Scan& s, const PackedSequences& sequences, const Interrupt& interrupt,
                   const at::Tensor& held) {
  const std::int64_t inner = s.a.size(0), states = s.a.size(1);
  at::Tensor out = at::empty_like(s.u);
  const float *u = s.u.data_ptr<float>(), *delta = s.delta.data_ptr<float>(), *b = s.b.data_ptr<float>(),
              *c = s.c.data_ptr<float>(), *a = s.a.data_ptr<float>(), *d = s.d.data_ptr<float>();
  auto* y = out.data_ptr<float>();
  std::int64_t first = 0;
  for (const std::int64_t length : sequences.lengths) {
    if (interrupt) interrupt();
    at::parallel_for(0, inner, 16, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> zeros(static_cast<std::size_t>(states));
      for (std::int64_t m = begin; m < end; ++m) {
        std::fill(zeros.begin(), zeros.end(), 0.0F);
        float* state = held.defined() ? held.data_ptr<float>() + m * states : zeros.data();
        for (std::int64_t t = first; t < first + length; ++t) {
          const float step = delta[t * inner + m], value = u[t * inner + m];
          float sum = d[m] * value;
          for (std::int64_t n = 0; n < states; ++n) {
            float& one = state[n];
            one = std::exp(step * a[m * states + n]) * one + step * b[t * states + n] * value;
            sum += c[t * states + n] * one;
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
                       const PackedSequences& sequences, const Interrupt& interrupt, MambaCache* cache) {
  const std::int64_t inner = w.a_log.size(0), states = w.a_log.size(1), rank = w.dt.size(1);
  const at::Tensor both = apply_linear(x, w.in, w.in_bias);
  if (interrupt) interrupt();
  const at::Tensor u =
      cache ? convolved_after(*cache, both.narrow(1, 0, inner), w) : convolved(both.narrow(1, 0, inner), w, sequences);
  const at::Tensor parts = apply_linear(u.to(x.scalar_type()), w.x, {});
  const at::Tensor step = rms_norm(parts.narrow(1, 0, rank).contiguous(), w.dt_norm, norm_epsilon);
  Scan scan;
  const auto ready = [](const at::Tensor& t) { return t.to(at::kCPU, at::kFloat).contiguous(); };
  scan.u = ready(u);
  scan.delta = ready(at::softplus(apply_linear(step.to(x.scalar_type()), w.dt, w.dt_bias)));
  scan.b = ready(rms_norm(parts.narrow(1, rank, states).contiguous(), w.b_norm, norm_epsilon));
  scan.c = ready(rms_norm(parts.narrow(1, rank + states, states).contiguous(), w.c_norm, norm_epsilon));
  scan.a = ready(at::neg(at::exp(w.a_log)));
  scan.d = ready(w.d);
  if (cache && !cache->state.defined()) cache->state = at::zeros({inner, states}, scan.u.options());
  const at::Tensor y = scanned(scan, sequences, interrupt, cache ? cache->state : at::Tensor()).to(x.device());
  const at::Tensor gated = y * at::silu(both.narrow(1, inner, inner));
  if (interrupt) interrupt();
  return apply_linear(gated.to(x.scalar_type()), w.out, w.out_bias);
}

}  // namespace moescope::blocks
