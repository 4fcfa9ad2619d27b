// The loops of simd.h as templates over the vector types of one instruction set. Included once by each simd_*.cpp after
// it has switched the target on, inside an unnamed namespace, so that nothing compiled for a newer machine can be taken
// by the linker for an older one.
//
// The including file defines, for its vector types V:
//   V load<V>(const std::uint64_t*), void full_add(V& sum, V& carry, V a, V b, V c),
//   void expand(const std::uint64_t* planes, stride, count, out[64]): 64 byte counters from bit planes.

template <typename V>
constexpr std::size_t lanes_of = sizeof(V) / 8;

constexpr std::size_t most_planes = 8;
constexpr std::size_t most_blocks = 15;  // of 16 sets each: 240 fits 8 planes

// Adds 16 sets to bit-sliced counters.
template <typename V, typename Get>
[[gnu::always_inline]] inline void add_sixteen(V* p, Get get) {
  V two_a, two_b, four_a, four_b, eight_a, eight_b, carry;
  full_add(p[0], two_a, p[0], get(0), get(1));
  full_add(p[0], two_b, p[0], get(2), get(3));
  full_add(p[1], four_a, p[1], two_a, two_b);
  full_add(p[0], two_a, p[0], get(4), get(5));
  full_add(p[0], two_b, p[0], get(6), get(7));
  full_add(p[1], four_b, p[1], two_a, two_b);
  full_add(p[2], eight_a, p[2], four_a, four_b);
  full_add(p[0], two_a, p[0], get(8), get(9));
  full_add(p[0], two_b, p[0], get(10), get(11));
  full_add(p[1], four_a, p[1], two_a, two_b);
  full_add(p[0], two_a, p[0], get(12), get(13));
  full_add(p[0], two_b, p[0], get(14), get(15));
  full_add(p[1], four_b, p[1], two_a, two_b);
  full_add(p[2], eight_b, p[2], four_a, four_b);
  full_add(p[3], carry, p[3], eight_a, eight_b);
  for (std::size_t q = 4; q < most_planes; ++q) {
    const V next = p[q] & carry;
    p[q] ^= carry;
    carry = next;
  }
}

// Planes needed to count to `n`.
inline std::size_t planes_for(std::size_t n) {
  std::size_t planes = 1;
  while ((std::size_t{1} << planes) <= n) ++planes;
  return planes < most_planes ? planes : most_planes;
}

// counts += counters held in planes; lane l of a plane counts word l % words. Only `counters` of them exist.
template <typename V>
[[gnu::always_inline]] inline void spill(const V* p, std::size_t n, std::size_t words, std::size_t counters,
                                         std::uint32_t* counts) {
  constexpr std::size_t lanes = lanes_of<V>;
  alignas(64) std::uint64_t planes[most_planes * lanes];
  std::memcpy(planes, p, sizeof planes);
  const std::size_t used = planes_for(n);
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const std::size_t first = lane % words * 64;
    if (first >= counters) continue;
    add_expanded(planes + lane, lanes, used, counts + first, counters - first < 64 ? counters - first : 64);
  }
}

// Sets that lie one after the other; `words` divides the lanes.
template <typename V>
void sum_run(const std::uint64_t* bits, std::size_t tokens, std::size_t words, std::uint32_t* counts) {
  const std::size_t vectors = tokens * words / lanes_of<V>;
  std::size_t done = 0;
  while (vectors - done >= 16) {
    V p[most_planes] = {};
    std::size_t blocks = (vectors - done) / 16;
    if (blocks > most_blocks) blocks = most_blocks;
    for (std::size_t b = 0; b < blocks; ++b, done += 16) {
      const std::uint64_t* from = bits + done * lanes_of<V>;
      add_sixteen(p, [&](std::size_t i) { return load<V>(from + i * lanes_of<V>); });
    }
    spill(p, blocks * 16, words, words * 64, counts);
  }
  // The rest, filled up with empty sets.
  const std::size_t rest = tokens * words - done * lanes_of<V>;
  if (rest == 0) return;
  alignas(64) std::uint64_t last[16 * lanes_of<V>] = {};
  std::memcpy(last, bits + done * lanes_of<V>, rest * sizeof(std::uint64_t));
  V p[most_planes] = {};
  add_sixteen(p, [&](std::size_t i) { return load<V>(last + i * lanes_of<V>); });
  spill(p, 16, words, words * 64, counts);
}

// Sets of `words` words, one column of vectors after the other.
template <typename V>
void sum_columns(const std::uint64_t* bits, std::size_t tokens, std::size_t words, std::uint32_t* counts) {
  for (std::size_t column = 0; column < words; column += lanes_of<V>) {
    for (std::size_t done = 0; done < tokens;) {
      V p[most_planes] = {};
      std::size_t n = 0;
      for (; n < most_blocks * 16 && done < tokens; n += 16) {
        const std::size_t left = tokens - done;
        const std::uint64_t* from = bits + done * words + column;
        add_sixteen(p, [&](std::size_t i) { return i < left ? load<V>(from + i * words) : V{}; });
        done += left < 16 ? left : 16;
      }
      spill(p, n, lanes_of<V>, lanes_of<V> * 64, counts + column * 64);
    }
  }
}

template <typename V>
void sum_list_columns(const std::uint64_t* bits, const std::uint16_t* list, std::size_t length, std::size_t words,
                      std::size_t counters, std::uint32_t* counts) {
  for (std::size_t column = 0; column < words && column * 64 < counters; column += lanes_of<V>) {
    const std::uint64_t* from = bits + column;
    for (std::size_t done = 0; done < length;) {
      V p[most_planes] = {};
      std::size_t n = 0;
      for (; n < most_blocks * 16 && done < length; n += 16, done += 16) {
        const std::uint16_t* part = list + done;
        add_sixteen(p, [&](std::size_t i) { return load<V>(from + part[i] * words); });
      }
      spill(p, n, lanes_of<V>, counters - column * 64, counts + column * 64);
    }
  }
}

// V spans the whole set. Offsets into the table are cut out of the eight ids ready to use.
template <typename V>
void set_bits_of(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, const std::uint64_t* one_hot,
                 std::uint64_t* bits) {
  constexpr unsigned bytes = sizeof(V), shift = bytes == 8 ? 3 : bytes == 16 ? 4 : 5;
  constexpr std::uint64_t mask = std::uint64_t{255} << shift;
  const auto* const table = reinterpret_cast<const unsigned char*>(one_hot);
  const auto set_at = [&](std::uint64_t offset) {
    V v;
    std::memcpy(&v, table + offset, sizeof v);
    return v;
  };
  if (slots == 8) {
    for (std::size_t t = 0; t < tokens; ++t) {
      std::uint64_t eight;
      std::memcpy(&eight, ids + t * 8, 8);
      const V a = set_at(eight << shift & mask) | set_at(eight >> (8 - shift) & mask);
      const V b = set_at(eight >> (16 - shift) & mask) | set_at(eight >> (24 - shift) & mask);
      const V c = set_at(eight >> (32 - shift) & mask) | set_at(eight >> (40 - shift) & mask);
      const V d = set_at(eight >> (48 - shift) & mask) | set_at(eight >> (56 - shift) & mask);
      const V set = (a | b) | (c | d);
      std::memcpy(bits + t * lanes_of<V>, &set, sizeof set);
    }
    return;
  }
  for (std::size_t t = 0; t < tokens; ++t) {
    V set{};
    for (std::size_t s = 0; s < slots; ++s) set |= set_at(std::uint64_t{ids[t * slots + s]} << shift);
    std::memcpy(bits + t * lanes_of<V>, &set, sizeof set);
  }
}

inline void fill_lists_of(const std::uint8_t* ids, std::size_t tokens, std::size_t slots, std::uint32_t* cursor,
                          std::uint16_t* lists) {
  if (slots == 8) {
    for (std::size_t t = 0; t < tokens; ++t) {
      std::uint64_t eight;
      std::memcpy(&eight, ids + t * 8, 8);
      const auto token = static_cast<std::uint16_t>(t);
      for (unsigned s = 0; s < 64; s += 8) lists[cursor[eight >> s & 255U]++] = token;
    }
    return;
  }
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t s = 0; s < slots; ++s) lists[cursor[ids[t * slots + s]]++] = static_cast<std::uint16_t>(t);
  }
}

// Eight tables, so that equal neighbours do not wait for each other.
inline void count_bytes_of(const std::uint8_t* bytes, std::size_t count, std::uint32_t* counts) {
  alignas(64) std::uint32_t tables[8][256] = {};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes + i, 8);
    ++tables[0][eight & 255U];
    ++tables[1][eight >> 8U & 255U];
    ++tables[2][eight >> 16U & 255U];
    ++tables[3][eight >> 24U & 255U];
    ++tables[4][eight >> 32U & 255U];
    ++tables[5][eight >> 40U & 255U];
    ++tables[6][eight >> 48U & 255U];
    ++tables[7][eight >> 56U];
  }
  for (; i < count; ++i) ++tables[0][bytes[i]];
  for (std::size_t v = 0; v < 256; ++v) {
    counts[v] += tables[0][v] + tables[1][v] + tables[2][v] + tables[3][v] + tables[4][v] + tables[5][v] +
                 tables[6][v] + tables[7][v];
  }
}

// A strip of columns at a time, so that it stays in the first cache and its sums in registers.
inline void weighted_sums_of(const std::uint32_t* counts, std::size_t rows, std::size_t columns,
                             const std::uint32_t* times, std::size_t draws, double* sums) {
  constexpr std::size_t strip = 32;
  for (std::size_t first = 0; first < columns; first += strip) {
    const std::size_t width = columns - first < strip ? columns - first : strip;
    for (std::size_t draw = 0; draw < draws; ++draw) {
      double sum[strip] = {};
      for (std::size_t row = 0; row < rows; ++row) {
        const double weight = times[draw * rows + row];
        if (weight == 0) continue;
        const std::uint32_t* from = counts + row * columns + first;
        if (width == strip) {
          for (std::size_t c = 0; c < strip; ++c) sum[c] += weight * from[c];
        } else {
          for (std::size_t c = 0; c < width; ++c) sum[c] += weight * from[c];
        }
      }
      std::memcpy(sums + draw * columns + first, sum, width * sizeof(double));
    }
  }
}
