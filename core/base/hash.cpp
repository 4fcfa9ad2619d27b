#include "core/base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <fstream>
#include <vector>

namespace moescope {
namespace {

std::string to_hex(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

}  // namespace

struct Hasher::State {
  std::unique_ptr<XXH3_state_t, FreeState> xxh{XXH3_createState()};
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(state_->xxh.get());
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
}

std::string Hasher::hex() const {
  return to_hex(XXH3_128bits_digest(state_->xxh.get()));
}

std::string hash_hex(std::span<const std::byte> bytes) {
  return to_hex(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string hash_hex(std::string_view text) {
  return hash_hex(std::as_bytes(std::span(text.data(), text.size())));
}

Expected<std::string> hash_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(ErrorKind::input, "the file cannot be opened", path.string(), "Check that it exists and is readable");
  }
  Hasher hasher;
  std::vector<char> block(std::size_t{1} << 20U);
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    hasher.add(std::string_view(block.data(), static_cast<std::size_t>(file.gcount())));
  }
  if (!file.eof()) {
    return fail(ErrorKind::input, "the file could not be read to its end", path.string(),
                "Check that it is a file and that its disk is healthy");
  }
  return hasher.hex();
}

std::string fingerprint(std::span<const std::byte> bytes) {
  if (bytes.size() <= fingerprint_whole_limit) return hash_hex(bytes);
  constexpr std::size_t ends = std::size_t{1} << 20U;
  constexpr std::size_t blocks = 1024;
  constexpr std::size_t block = 4096;
  Hasher hasher;
  hasher.add(fmt::format("{}:", bytes.size()));
  hasher.add(bytes.first(ends));
  const std::size_t step = (bytes.size() - 2 * ends) / blocks;
  for (std::size_t i = 0; i < blocks; ++i) hasher.add(bytes.subspan(ends + i * step, block));
  hasher.add(bytes.last(ends));
  return hasher.hex();
}

}  // namespace moescope
