#include "core/session/result_pack.h"

#include <zstd.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace moescope {
namespace {

constexpr int compression_level = 3;
// A cached Result that claims to be larger than this is damaged.
constexpr unsigned long long unpacked_limit = 4ULL << 30U;

Unexpected damaged(const char* what) {
  return fail(ErrorKind::input, what, "cached result", "It will be computed again");
}

}  // namespace

Expected<std::string> pack_result(const Result& result) {
  try {
    const std::vector<std::uint8_t> plain = nlohmann::json::to_cbor(result_to_json(result));
    std::string packed(ZSTD_compressBound(plain.size()), '\0');
    const std::size_t size = ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), compression_level);
    if (ZSTD_isError(size)) return fail(ErrorKind::internal, ZSTD_getErrorName(size), "cached result");
    packed.resize(size);
    packed.shrink_to_fit();
    return packed;
  } catch (const std::exception& e) {
    return fail(ErrorKind::internal, e.what(), "cached result");
  }
}

Expected<Result> unpack_result(std::string_view packed) {
  const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > unpacked_limit) {
    return damaged("the compressed bytes are damaged");
  }
  try {
    std::vector<std::uint8_t> plain(size);
    const std::size_t got = ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
    if (ZSTD_isError(got) || got != size) return damaged("the compressed bytes are damaged");
    return result_from_json(nlohmann::json::from_cbor(plain));
  } catch (const std::exception& e) {
    return damaged(e.what());
  }
}

}  // namespace moescope
