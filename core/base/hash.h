// Hashes that name content: cache keys, file identities. XXH3-128 as 32 hexadecimal digits: fast and collision-proof
// against accident, not against an adversary. Called by readers, sessions and engines; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// Hash of bytes or of text: 32 lower-case hexadecimal digits.
[[nodiscard]] MOESCOPE_API std::string hash_hex(std::span<const std::byte> bytes);
[[nodiscard]] MOESCOPE_API std::string hash_hex(std::string_view text);

// Hash of a whole file, read in blocks. Error (input) when it cannot be opened or read to its end.
[[nodiscard]] MOESCOPE_API Expected<std::string> hash_file(const std::filesystem::path& path);

// Bytes up to this size are hashed whole by fingerprint().
inline constexpr std::size_t fingerprint_whole_limit = std::size_t{64} << 20U;
// Hash of the size and, above fingerprint_whole_limit, of the first and last MiB and 1,024 blocks of 4 KiB at even
// distances: names a large mapped file without reading all of it. Equal to hash_hex() for smaller ones.
[[nodiscard]] MOESCOPE_API std::string fingerprint(std::span<const std::byte> bytes);

// Hash of bytes that arrive in pieces.
class MOESCOPE_API Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
  // The hash of what was added so far.
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moescope
