#include "core/trace/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace moescope {
namespace {

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
  std::uint32_t exponent = (half >> 10U) & 0x1FU;
  std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0x1FU) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13U));
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign);
    exponent = 1;
    while ((mantissa & 0x400U) == 0) {
      mantissa <<= 1U;
      --exponent;  // may pass zero: the bias below keeps it a valid float32 exponent
    }
    mantissa &= 0x3FFU;
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U));
}

// Bytes of a mapped file may lie anywhere.
template <typename T>
T load(const std::byte* from) {
  T value{};
  std::memcpy(&value, from, sizeof(T));
  return value;
}

}  // namespace

float FloatColumn::at(std::size_t i) const {
  const std::byte* const from = bytes.data() + i * element_bytes();
  switch (type) {
    case Type::f32:
      return load<float>(from);
    case Type::f16:
      return half_to_float(load<std::uint16_t>(from));
    case Type::bf16:
      return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(from)) << 16U);
    case Type::u8:
      return static_cast<float>(load<std::uint8_t>(from));
    case Type::u16:
      return static_cast<float>(load<std::uint16_t>(from));
    case Type::i32:
      return static_cast<float>(load<std::int32_t>(from));
  }
  return 0;
}

void FloatColumn::read(std::size_t begin, std::span<float> out) const {
  if (type == Type::f32) {
    std::memcpy(out.data(), bytes.data() + begin * 4, out.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = at(begin + i);
}

FloatColumn FloatColumn::own(std::vector<float> data) {
  auto block = std::make_shared<const std::vector<float>>(std::move(data));
  return FloatColumn{Type::f32, std::as_bytes(std::span<const float>(*block)), block};
}

std::uint8_t Segment::used_at(std::size_t row, std::size_t token) const {
  if (!used.empty()) {
    const std::uint8_t stated = used[row * tokens + token];
    return stated <= used_code::max_filled && stated > slots ? static_cast<std::uint8_t>(slots) : stated;
  }
  if (!has_ids()) return used_code::not_recorded;
  const std::uint32_t unfilled = ids8.empty() ? 0xFFFFU : 0xFFU;
  std::uint8_t n = 0;
  if (!all_ones_is_expert.empty() && all_ones_is_expert[row] != 0) {
    while (n < slots && id(row, token, n) == unfilled) ++n;
    return n == slots ? used_code::not_recorded : static_cast<std::uint8_t>(slots);
  }
  while (n < slots && id(row, token, n) != unfilled) ++n;
  return n == 0 ? used_code::not_recorded : n;
}

std::size_t Trace::token_count() const {
  std::size_t total = 0;
  for (const auto& segment : segments) total += segment->tokens;
  return total;
}

bool Trace::has_ids() const {
  return std::any_of(segments.begin(), segments.end(), [](const auto& s) { return s->has_ids(); });
}
bool Trace::has_router_logits() const {
  return !segments.empty() &&
         std::all_of(segments.begin(), segments.end(), [](const auto& s) { return !s->router_logits.empty(); });
}
bool Trace::has_gate_weights() const {
  return !segments.empty() &&
         std::all_of(segments.begin(), segments.end(), [](const auto& s) { return !s->gate_weights.empty(); });
}
bool Trace::has_token_value(const std::string& value_name) const {
  return !segments.empty() && std::all_of(segments.begin(), segments.end(),
                                          [&](const auto& s) { return s->token_values.contains(value_name); });
}
std::size_t Trace::max_slots() const {
  std::size_t most = 0;
  for (const auto& segment : segments) most = std::max(most, segment->slots);
  return most;
}

Trace::Place Trace::locate(std::size_t token) const {
  for (const auto& segment : segments) {
    if (token < segment->tokens) return Place{segment.get(), token};
    token -= segment->tokens;
  }
  return Place{};
}

std::string Trace::token_text(std::size_t token) const {
  const Place place = locate(token);
  if (!place.segment) return {};
  const Segment& segment = *place.segment;
  if (!segment.text_spans.empty() && !text.empty()) {
    const auto begin = segment.text_spans[place.token * 2];
    const auto end = segment.text_spans[place.token * 2 + 1];
    if (begin >= 0 && end >= begin && static_cast<std::size_t>(end) <= text.size()) {
      return std::string(reinterpret_cast<const char*>(text.values.data()) + begin,
                         static_cast<std::size_t>(end - begin));
    }
  }
  if (segment.token_ids.empty()) return {};
  const std::int32_t id = segment.token_ids[place.token];
  const auto found = vocabulary.find(id);
  return found != vocabulary.end() ? found->second : "#" + std::to_string(id);
}

std::string Trace::token_label(std::size_t token) const {
  const Place place = locate(token);
  if (!place.segment) return {};
  const Segment& segment = *place.segment;
  if ((!segment.text_spans.empty() && !text.empty()) || !segment.token_ids.empty()) return token_text(token);
  return " " + (segment.positions.empty() ? std::to_string(token) : std::to_string(segment.positions[place.token]));
}

Expected<void> check_ids(const Trace& trace, std::optional<std::size_t> row) {
  std::size_t first_token = 0;
  for (const auto& segment : trace.segments) {
    const std::size_t end = row ? std::min(*row + 1, segment->rows) : segment->rows;
    for (std::size_t r = row.value_or(0); segment->has_ids() && r < end; ++r) {
      std::uint32_t experts = trace.rows()[r].experts;
      if (trace.info->physical_ids) experts = std::max(experts, static_cast<std::uint32_t>(trace.placement.physical));
      for (std::size_t t = 0; t < segment->tokens; ++t) {
        const std::size_t filled = segment->filled(r, t);
        for (std::size_t s = 0; s < filled; ++s) {
          if (segment->id(r, t, s) < experts) continue;
          return fail(
              ErrorKind::input,
              fmt::format("the trace holds expert id {} in a router of {} experts", segment->id(r, t, s), experts),
              fmt::format("{}, row {}, token {}, slot {}", trace.name, r, first_token + t, s),
              "Record the trace again, or correct the number of experts in its metadata");
        }
      }
    }
    first_token += segment->tokens;
  }
  return {};
}

}  // namespace moescope
