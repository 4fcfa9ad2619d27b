#include "plugins/torch_engine/output_sampler.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace moescope::torch_engine {
namespace {

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

bool smaller_key(const OutputSampler::Sample& a, const OutputSampler::Sample& b) {
  return a.key < b.key;
}

}  // namespace

void OutputSampler::add(std::size_t row, std::size_t first_token, std::span<const std::size_t> tokens,
                        const blocks::Dispatch& dispatch, const at::Tensor& outputs) {
  const std::lock_guard lock(mutex_);
  const at::Tensor entries = dispatch.tokens.cpu();
  const auto* entry = entries.data_ptr<std::int64_t>();
  for (std::size_t e = 0; e + 1 < dispatch.begin.size(); ++e) {
    std::vector<Sample>& kept = kept_[row][static_cast<std::uint32_t>(e)];
    for (std::int64_t s = dispatch.begin[e]; s < dispatch.begin[e + 1]; ++s) {
      const std::size_t token = first_token + tokens[static_cast<std::size_t>(entry[s])];
      const std::uint64_t key = mix(mix(row * 65536 + e + 1) ^ (token + 0x9E3779B97F4A7C15ULL));
      if (kept.size() == count_) {
        if (key >= kept.front().key) continue;
        std::pop_heap(kept.begin(), kept.end(), smaller_key);
        kept.pop_back();
      }
      const at::Tensor values = outputs[s].to(at::kFloat).cpu().contiguous();
      const float* data = values.data_ptr<float>();
      kept.push_back({key, token, static_cast<std::uint32_t>(e), std::vector<float>(data, data + values.numel())});
      std::push_heap(kept.begin(), kept.end(), smaller_key);
    }
  }
}

void OutputSampler::forget(std::size_t first_token) {
  const std::lock_guard lock(mutex_);
  for (auto& experts : kept_) {
    for (auto& [expert, kept] : experts) {
      std::erase_if(kept, [first_token](const Sample& sample) { return sample.token >= first_token; });
      std::make_heap(kept.begin(), kept.end(), smaller_key);
    }
  }
}

std::vector<OutputSampler::Sample> OutputSampler::samples_of(std::size_t row) const {
  std::vector<Sample> out;
  for (const auto& [expert, kept] : kept_[row]) out.insert(out.end(), kept.begin(), kept.end());
  std::sort(out.begin(), out.end(), [](const Sample& a, const Sample& b) {
    return std::pair(a.expert, a.token) < std::pair(b.expert, b.token);
  });
  return out;
}

}  // namespace moescope::torch_engine
