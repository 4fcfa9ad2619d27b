#include "core/trace/synth_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/parallel.h"
#include "core/trace/trace_file.h"

namespace moescope {
namespace {

constexpr std::uint64_t stretch = 4096;  // pieces of a written trace are whole multiples of it

// SplitMix64: one step, and the hash of a few numbers.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}
std::uint64_t mixed(std::uint64_t a, std::uint64_t b, std::uint64_t c = 0) {
  return mixed(mixed(mixed(a) ^ b) ^ c);
}

class Stream {
 public:
  explicit Stream(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() { return mixed(state_ += 0x9E3779B97F4A7C15ULL); }

 private:
  std::uint64_t state_;
};

// Draws i in 0..n-1 with weight 1 / (i + 1)^power from one random number (Walker's alias method).
class Popularity {
 public:
  Popularity(std::size_t n, double power) : keep_(n), alias_(n) {
    std::vector<double> weight(n);
    for (std::size_t i = 0; i < n; ++i) weight[i] = std::pow(static_cast<double>(i + 1), -power);
    const double scale = static_cast<double>(n) / std::accumulate(weight.begin(), weight.end(), 0.0);
    std::vector<std::size_t> small, large;
    for (std::size_t i = 0; i < n; ++i) (weight[i] *= scale) < 1 ? small.push_back(i) : large.push_back(i);
    while (!small.empty() && !large.empty()) {
      const std::size_t low = small.back(), high = large.back();
      small.pop_back();
      keep_[low] = static_cast<std::uint32_t>(weight[low] * 0xFFFF'FFFFU);
      alias_[low] = static_cast<std::uint32_t>(high);
      weight[high] -= 1 - weight[low];
      if (weight[high] < 1) {
        large.pop_back();
        small.push_back(high);
      }
    }
    for (const auto& rest : {small, large}) {
      for (const std::size_t i : rest) keep_[i] = 0xFFFF'FFFFU;
    }
  }
  [[nodiscard]] std::uint32_t draw(std::uint64_t random) const {
    const auto place = static_cast<std::uint32_t>((random >> 32U) * keep_.size() >> 32U);
    return static_cast<std::uint32_t>(random) <= keep_[place] ? place : alias_[place];
  }

 private:
  std::vector<std::uint32_t> keep_, alias_;
};

// What all tokens share: which experts are popular at a row, and who follows whom.
struct Router {
  std::vector<std::uint16_t> popular;    // [experts]: by popularity
  std::vector<std::uint16_t> successor;  // [experts]: of the row before
};

std::vector<std::uint16_t> shuffled(std::uint32_t n, std::uint64_t seed) {
  std::vector<std::uint16_t> order(n);
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  Stream random(seed);
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
  return order;
}

class Generator {
 public:
  explicit Generator(const SynthTraceOptions& options)
      : o_(options), experts_(options.experts, options.zipf), words_(options.vocabulary, 1.0) {
    for (std::uint32_t r = 0; r < o_.layers; ++r) {
      routers_.push_back({shuffled(o_.experts, mixed(o_.seed, 1, r)), shuffled(o_.experts, mixed(o_.seed, 2, r))});
    }
    const auto part = [](double share) { return static_cast<std::uint64_t>(share * 65536); };
    markov_ = part(o_.markov);
    by_token_ = markov_ + part(o_.by_token);
    by_domain_ = by_token_ + part(o_.by_domain);
  }

  [[nodiscard]] std::shared_ptr<const Segment> segment(std::uint64_t begin, std::uint64_t end) const {
    auto made = std::make_shared<Segment>();
    made->rows = o_.layers;
    made->tokens = end - begin;
    made->slots = o_.k;
    Columns c(made->rows, made->tokens, o_.k, o_.experts > 256);
    make(begin, end, c);
    made->ids8 = Column<std::uint8_t>::own(std::move(c.ids8));
    made->ids16 = Column<std::uint16_t>::own(std::move(c.ids16));
    made->used = Column<std::uint8_t>::own(
        std::vector<std::uint8_t>(made->rows * made->tokens, static_cast<std::uint8_t>(o_.k)));
    made->token_ids = Column<std::int32_t>::own(std::move(c.token_ids));
    made->sequence_ids = Column<std::int32_t>::own(std::move(c.sequences));
    made->positions = Column<std::int32_t>::own(std::move(c.positions));
    made->tags["domain"].codes = Column<std::int32_t>::own(std::move(c.domains));
    for (std::uint32_t d = 0; d < o_.domains; ++d) made->tags["domain"].names.push_back(fmt::format("domain-{}", d));
    made->token_values["loss"] = FloatColumn::own(std::move(c.losses));
    return made;
  }

 private:
  struct Columns {
    Columns(std::size_t rows, std::size_t count, std::size_t k, bool wide)
        : ids8(wide ? 0 : rows * count * k), ids16(wide ? rows * count * k : 0), tokens(count) {
      token_ids.reserve(count);
    }
    std::vector<std::uint8_t> ids8;
    std::vector<std::uint16_t> ids16;
    std::vector<std::int32_t> token_ids, sequences, positions, domains;
    std::vector<float> losses;
    std::size_t tokens;
  };

  // Every token has random numbers of its own, so that any part of the trace can be made alone.
  void make(std::uint64_t begin, std::uint64_t end, Columns& c) const {
    std::vector<std::uint16_t> now(o_.k), before(o_.k);
    std::vector<std::uint64_t> taken((o_.experts + 63) / 64);
    for (std::uint64_t t = begin; t < end; ++t) {
      Stream random(mixed(o_.seed, 3, t));
      const std::uint64_t sequence = t / o_.sequence_length;
      const auto domain = static_cast<std::uint32_t>(mixed(o_.seed, 4, sequence) % o_.domains);
      const std::uint32_t word = words_.draw(random.next());
      c.token_ids.push_back(static_cast<std::int32_t>(word));
      c.sequences.push_back(static_cast<std::int32_t>(sequence));
      c.positions.push_back(static_cast<std::int32_t>(t % o_.sequence_length));
      c.domains.push_back(static_cast<std::int32_t>(domain));
      // Surer as the sequence goes on, never zero.
      const double u = static_cast<double>(random.next() >> 11U) * 0x1.0p-53;
      c.losses.push_back(
          static_cast<float>(-std::log(1 - u) * (1 + 8 / (1.0 + static_cast<double>(c.positions.back())))));
      for (std::uint32_t r = 0; r < o_.layers; ++r) {
        route(r, word, domain, random, before, now, taken);
        const std::size_t at = (r * c.tokens + (t - begin)) * o_.k;
        if (c.ids16.empty()) {
          for (std::size_t s = 0; s < o_.k; ++s) c.ids8[at + s] = static_cast<std::uint8_t>(now[s]);
        } else {
          std::copy(now.begin(), now.end(), c.ids16.begin() + static_cast<std::ptrdiff_t>(at));
        }
        std::swap(now, before);
      }
    }
  }

  void route(std::uint32_t row, std::uint32_t word, std::uint32_t domain, Stream& random,
             const std::vector<std::uint16_t>& before, std::vector<std::uint16_t>& now,
             std::vector<std::uint64_t>& taken) const {
    const Router& router = routers_[row];
    std::fill(taken.begin(), taken.end(), 0U);
    for (std::uint32_t s = 0; s < o_.k; ++s) {
      const std::uint64_t draw = random.next();
      const std::uint64_t kind = draw & 0xFFFFU;
      std::uint32_t expert = 0;
      if (kind < markov_ && row > 0) {
        expert = router.successor[before[s]];
      } else if (kind >= markov_ && kind < by_token_) {
        expert = static_cast<std::uint32_t>(mixed(word, row, s) % o_.experts);
      } else if (kind >= by_token_ && kind < by_domain_) {
        expert = static_cast<std::uint32_t>(mixed(domain + 1, row, s + 77) % o_.experts);
      } else {
        expert = router.popular[experts_.draw(mixed(draw))];
      }
      // Chosen already: the next one that is not.
      while ((taken[expert / 64] >> (expert % 64) & 1U) != 0) expert = expert + 1 == o_.experts ? 0 : expert + 1;
      taken[expert / 64] |= std::uint64_t{1} << (expert % 64);
      now[s] = static_cast<std::uint16_t>(expert);
    }
  }

  const SynthTraceOptions& o_;
  Popularity experts_, words_;
  std::vector<Router> routers_;
  std::uint64_t markov_ = 0, by_token_ = 0, by_domain_ = 0;
};

Expected<void> check(const SynthTraceOptions& o) {
  const auto wrong = [](std::string what, const char* option) {
    return fail(ErrorKind::usage, std::move(what), option, "Give a size that makes a trace");
  };
  if (o.layers == 0 || o.layers > 1024) return wrong("a trace has 1 to 1,024 layers", "--layers");
  if (o.experts == 0 || o.experts > 4096) return wrong("1 to 4,096 experts can be made", "--experts");
  if (o.k == 0 || o.k > o.experts || o.k > used_code::max_filled) {
    return wrong("each token needs 1 to 249 experts, and no more than there are", "--k");
  }
  if (o.tokens == 0 || o.tokens > 1'000'000'000) return wrong("1 to 10^9 tokens can be made", "--tokens");
  if (o.sequence_length == 0 || o.vocabulary == 0 || o.domains == 0 || o.domains > 200) {
    return wrong("sequence length and vocabulary are at least 1, domains 1 to 200", "");
  }
  if (!(o.zipf >= 0 && o.zipf <= 10) || !(o.markov >= 0) || !(o.by_token >= 0) || !(o.by_domain >= 0) ||
      o.markov + o.by_token + o.by_domain > 1) {
    return wrong("the parts by successor, token and domain are 0 or more and at most 1 together", "--markov");
  }
  return {};
}

Trace head_of(const SynthTraceOptions& o) {
  auto info = std::make_shared<TraceInfo>();
  for (std::uint32_t r = 0; r < o.layers; ++r) {
    RouterRow row;
    row.layer = static_cast<int>(r);
    row.experts = o.experts;
    row.k = o.k;
    info->rows.push_back(row);
  }
  for (std::uint32_t d = 0; d < o.domains; ++d) info->tag_names["domain"].push_back(fmt::format("domain-{}", d));
  info->compute_type = "synthetic";
  info->model_name = fmt::format("synthetic {}x{}x{}", o.layers, o.experts, o.k);
  info->source_tool = "moescope-cli synth trace";
  info->source_notes = fmt::format("zipf {}, markov {}, token {}, domain {}, seed {}", o.zipf, o.markov, o.by_token,
                                   o.by_domain, o.seed);
  Trace head;
  head.name = info->model_name;
  head.info = info;
  return head;
}

}  // namespace

Expected<std::shared_ptr<const Segment>> synth_segment(const SynthTraceOptions& options, std::uint64_t begin,
                                                       std::uint64_t end) {
  if (auto ok = check(options); !ok) return fail(ok.error());
  if (begin > end || end > options.tokens) {
    return fail(ErrorKind::usage, "the trace has no such tokens", fmt::format("{} to {}", begin, end), "");
  }
  return Generator(options).segment(begin, end);
}

Expected<Trace> synth_trace(const SynthTraceOptions& options) {
  if (auto ok = check(options); !ok) return fail(ok.error());
  Trace trace = head_of(options);
  trace.segments.push_back(Generator(options).segment(0, options.tokens));
  trace.content_hash = trace.info->source_notes;
  return trace;
}

Expected<void> write_synth_trace(const SynthTraceOptions& options, const std::filesystem::path& path,
                                 const WorkContext& work) {
  if (auto ok = check(options); !ok) return fail(ok.error());
  auto writer = TraceWriter::create(path, head_of(options), options.tokens);
  if (!writer) return fail(writer.error());
  const Generator generator(options);
  // A few pieces at a time on all threads, then to disk in order.
  const std::size_t at_once = parallel_workers(1024) * 2;
  const std::uint64_t piece = std::clamp<std::uint64_t>(
      (std::uint64_t{8} << 20U) / (std::uint64_t{options.layers} * options.k) / stretch * stretch, stretch,
      16 * stretch);
  for (std::uint64_t begin = 0; begin < options.tokens;) {
    std::vector<std::shared_ptr<const Segment>> made(at_once);
    auto done =
        parallel_for(at_once, WorkContext{{}, work.cancel}, {"Random trace", 0, 1}, [&](std::size_t i, std::size_t) {
          const std::uint64_t first = begin + i * piece;
          if (first >= options.tokens) return;
          made[i] = generator.segment(first, std::min(first + piece, options.tokens));
        });
    if (!done) return done;
    for (const auto& segment : made) {
      if (!segment) continue;
      if (auto written = writer->append(*segment); !written) return written;
    }
    begin = std::min(begin + at_once * piece, options.tokens);
    work.report("Random trace", static_cast<double>(begin) / static_cast<double>(options.tokens));
  }
  return writer->finish();
}

}  // namespace moescope
