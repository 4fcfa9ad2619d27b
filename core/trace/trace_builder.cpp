#include "core/trace/trace_builder.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "core/trace/trace_hash.h"

namespace moescope {
namespace {

constexpr float unknown_number = std::numeric_limits<float>::quiet_NaN();

// One value per token of the segment being built; tokens that were not told hold `absent`.
template <typename T>
struct Growing {
  std::vector<T> values;
  bool known = false;
};

// Token-major values with a fixed number per token.
class Wide {
 public:
  void set(std::size_t token, std::size_t at, std::size_t per_token, std::span<const float> from) {
    width_ = per_token;
    if (values_.size() < (token + 1) * width_) values_.resize((token + 1) * width_, unknown_number);
    std::copy(from.begin(), from.end(), values_.begin() + static_cast<std::ptrdiff_t>(token * width_ + at));
  }
  // As [row, token, inner]; empties the store.
  FloatColumn take(std::size_t tokens, std::size_t rows) {
    if (values_.empty()) return {};
    values_.resize(tokens * width_, unknown_number);
    const std::size_t inner = width_ / rows;
    std::vector<float> out(values_.size());
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t r = 0; r < rows; ++r) {
        std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>((t * rows + r) * inner), inner,
                    out.begin() + static_cast<std::ptrdiff_t>((r * tokens + t) * inner));
      }
    }
    values_.clear();
    return FloatColumn::own(std::move(out));
  }

 private:
  std::size_t width_ = 0;
  std::vector<float> values_;
};

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
Column<T> take(Growing<T>& from) {
  Column<T> out = from.known ? Column<T>::own(std::move(from.values)) : Column<T>{};
  from = Growing<T>{};
  return out;
}

}  // namespace

struct TraceBuilder::State {
  TraceInfo info;
  std::size_t slots = 0;
  std::size_t emax = 0;
  std::vector<std::shared_ptr<const Segment>> segments;
  std::size_t finished_tokens = 0;
  std::vector<std::uint8_t> text;
  std::map<std::int32_t, std::string> vocabulary;

  // The segment being built.
  std::size_t tokens = 0;
  std::vector<std::uint16_t> ids;  // [token, row, slot]
  std::vector<std::uint8_t> used;  // [token, row]
  Wide weights, logits, scores;
  std::map<std::string, Wide> slot_values, row_values, token_values;
  Growing<std::int32_t> token_ids, sequences, positions, steps, ranks, epochs;
  Growing<std::uint8_t> phases, streams;
  Growing<std::int64_t> spans;
  std::map<std::string, std::vector<std::int32_t>> codes;
  std::map<std::string, Wide> numbers;

  [[nodiscard]] std::size_t rows() const { return info.rows.size(); }
  [[nodiscard]] std::size_t last() const {
    require(tokens > 0);
    return tokens - 1;
  }
  void finish_ids(Segment& segment);
  void finish();
};

TraceBuilder::TraceBuilder(std::vector<RouterRow> rows, std::size_t slots) : state_(std::make_unique<State>()) {
  require(slots <= used_code::max_filled);
  for (const RouterRow& row : rows) state_->emax = std::max<std::size_t>(state_->emax, row.experts);
  state_->info.rows = std::move(rows);
  state_->slots = slots;
}
TraceBuilder::~TraceBuilder() = default;
TraceBuilder::TraceBuilder(TraceBuilder&&) noexcept = default;
TraceBuilder& TraceBuilder::operator=(TraceBuilder&&) noexcept = default;

std::vector<RouterRow> TraceBuilder::plain_rows(std::size_t layers, std::uint32_t experts, std::uint32_t k) {
  std::vector<RouterRow> rows(layers);
  for (std::size_t i = 0; i < layers; ++i) {
    rows[i].layer = static_cast<int>(i);
    rows[i].experts = experts;
    rows[i].k = k;
  }
  return rows;
}

TraceInfo& TraceBuilder::info() {
  return state_->info;
}

void TraceBuilder::vocabulary(std::int32_t id, std::string bytes) {
  state_->vocabulary[id] = std::move(bytes);
}

std::size_t TraceBuilder::token(const TokenFacts& facts, std::optional<std::string_view> bytes) {
  State& s = *state_;
  const auto push = [](auto& column, const auto& value) {
    using T = typename std::decay_t<decltype(column.values)>::value_type;
    column.values.push_back(value ? static_cast<T>(*value) : static_cast<T>(-1));
    column.known = column.known || value.has_value();
  };
  push(s.token_ids, facts.id);
  push(s.sequences, facts.sequence);
  push(s.positions, facts.position);
  push(s.steps, facts.step);
  push(s.ranks, facts.rank);
  push(s.epochs, facts.epoch);
  push(s.phases, facts.phase);
  push(s.streams, facts.stream);
  const auto begin = bytes ? static_cast<std::int64_t>(s.text.size()) : -1;
  if (bytes) s.text.insert(s.text.end(), bytes->begin(), bytes->end());
  s.spans.values.push_back(begin);
  s.spans.values.push_back(bytes ? static_cast<std::int64_t>(s.text.size()) : -1);
  s.spans.known = s.spans.known || bytes.has_value();
  s.ids.resize(s.ids.size() + s.rows() * s.slots, 0xFFFF);
  s.used.resize(s.used.size() + s.rows(), used_code::not_recorded);
  return s.finished_tokens + s.tokens++;
}

void TraceBuilder::route(std::size_t row, std::span<const std::uint32_t> ids, std::span<const float> weights) {
  State& s = *state_;
  require(row < s.rows() && ids.size() <= s.slots && (weights.empty() || weights.size() == ids.size()));
  const std::size_t cell = s.last() * s.rows() + row;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    require(ids[i] < s.info.rows[row].experts);
    s.ids[cell * s.slots + i] = static_cast<std::uint16_t>(ids[i]);
  }
  s.used[cell] = static_cast<std::uint8_t>(ids.size());
  if (!weights.empty()) s.weights.set(s.last(), row * s.slots, s.rows() * s.slots, weights);
}

void TraceBuilder::unrouted(std::size_t row, std::uint8_t code) {
  require(row < state_->rows() && code > used_code::max_filled);
  state_->used[state_->last() * state_->rows() + row] = code;
}

void TraceBuilder::router_logits(std::size_t row, std::span<const float> values) {
  State& s = *state_;
  require(row < s.rows() && values.size() <= s.emax);
  s.logits.set(s.last(), row * s.emax, s.rows() * s.emax, values);
}

void TraceBuilder::selection_scores(std::size_t row, std::span<const float> values) {
  State& s = *state_;
  require(row < s.rows() && values.size() <= s.emax);
  s.scores.set(s.last(), row * s.emax, s.rows() * s.emax, values);
}

void TraceBuilder::tag(const std::string& name, const std::string& value) {
  State& s = *state_;
  auto& names = s.info.tag_names[name];
  auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end()) found = names.insert(names.end(), value);
  auto& codes = s.codes[name];
  codes.resize(s.last() + 1, -1);
  codes.back() = static_cast<std::int32_t>(found - names.begin());
}

void TraceBuilder::tag_number(const std::string& name, float value) {
  state_->numbers[name].set(state_->last(), 0, 1, std::span(&value, 1));
}

void TraceBuilder::token_value(const std::string& name, float value) {
  state_->token_values[name].set(state_->last(), 0, 1, std::span(&value, 1));
}

void TraceBuilder::row_value(const std::string& name, std::size_t row, float value) {
  require(row < state_->rows());
  state_->row_values[name].set(state_->last(), row, state_->rows(), std::span(&value, 1));
}

void TraceBuilder::slot_values(const std::string& name, std::size_t row, std::span<const float> values) {
  State& s = *state_;
  require(row < s.rows() && values.size() <= s.slots);
  s.slot_values[name].set(s.last(), row * s.slots, s.rows() * s.slots, values);
}

void TraceBuilder::State::finish_ids(Segment& segment) {
  const std::size_t cells = tokens * rows();
  std::vector<std::uint8_t> narrow(emax <= 256 ? cells * slots : 0);
  std::vector<std::uint16_t> wide(emax <= 256 ? 0 : cells * slots);
  std::vector<std::uint8_t> filled(cells);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t r = 0; r < rows(); ++r) {
      const std::size_t from = t * rows() + r;
      const std::size_t to = r * tokens + t;
      filled[to] = used[from];
      for (std::size_t k = 0; k < slots; ++k) {
        const std::uint16_t id = ids[from * slots + k];
        if (emax <= 256) narrow[to * slots + k] = static_cast<std::uint8_t>(id);
        if (emax > 256) wide[to * slots + k] = id;
      }
    }
  }
  if (!narrow.empty()) segment.ids8 = Column<std::uint8_t>::own(std::move(narrow));
  if (!wide.empty()) segment.ids16 = Column<std::uint16_t>::own(std::move(wide));
  // `used` is kept only where the ids alone would say something else.
  bool derivable = emax != 256;
  for (std::size_t r = 0; derivable && r < rows(); ++r) {
    for (std::size_t t = 0; derivable && t < tokens; ++t) {
      derivable = segment.used_at(r, t) == filled[r * tokens + t];
    }
  }
  if (!derivable) segment.used = Column<std::uint8_t>::own(std::move(filled));
  ids.clear();
  used.clear();
}

void TraceBuilder::State::finish() {
  if (tokens == 0) return;
  auto segment = std::make_shared<Segment>();
  segment->rows = rows();
  segment->tokens = tokens;
  segment->slots = slots;
  finish_ids(*segment);
  segment->gate_weights = weights.take(tokens, rows());
  segment->router_logits = logits.take(tokens, rows());
  segment->selection_scores = scores.take(tokens, rows());
  if (!segment->router_logits.empty() || !segment->selection_scores.empty()) segment->logit_width = emax;
  segment->token_ids = take(token_ids);
  segment->sequence_ids = take(sequences);
  segment->positions = take(positions);
  segment->steps = take(steps);
  segment->ranks = take(ranks);
  segment->epochs = take(epochs);
  segment->phases = take(phases);
  segment->streams = take(streams);
  segment->text_spans = take(spans);
  for (auto& [name, values] : codes) {
    values.resize(tokens, -1);
    segment->tags[name].codes = Column<std::int32_t>::own(std::move(values));
  }
  for (auto& [name, values] : numbers) {
    const FloatColumn column = values.take(tokens, 1);
    std::vector<float> floats(column.size());
    column.read(0, floats);
    segment->tags[name].numbers = Column<float>::own(std::move(floats));
  }
  for (auto& [name, values] : slot_values) segment->slot_values[name] = values.take(tokens, rows());
  for (auto& [name, values] : row_values) segment->row_values[name] = values.take(tokens, rows());
  for (auto& [name, values] : token_values) segment->token_values[name] = values.take(tokens, 1);
  codes.clear();
  numbers.clear();
  slot_values.clear();
  row_values.clear();
  token_values.clear();
  segments.push_back(std::move(segment));
  finished_tokens += tokens;
  tokens = 0;
}

void TraceBuilder::end_segment() {
  state_->finish();
}

Trace TraceBuilder::build(std::string name) {
  State& s = *state_;
  s.finish();
  Trace trace;
  trace.name = std::move(name);
  trace.info = std::make_shared<const TraceInfo>(s.info);
  trace.vocabulary = s.vocabulary;
  if (!s.text.empty()) trace.text = Column<std::uint8_t>::own(s.text);
  // Names of codes are known only now: every segment gets the whole list.
  for (const auto& segment : s.segments) {
    auto named = std::make_shared<Segment>(*segment);
    for (auto& [tag, column] : named->tags) {
      if (const auto found = s.info.tag_names.find(tag); found != s.info.tag_names.end() && !column.codes.empty()) {
        column.names = found->second;
      }
    }
    trace.segments.push_back(std::move(named));
  }
  trace.content_hash = hash_trace(trace);
  return trace;
}

}  // namespace moescope
