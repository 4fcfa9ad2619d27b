// CSV as RFC 4180 has it, read line by line from bytes in memory, strictly and with limits: quotes, doubled quotes, LF
// or CRLF. Lines that begin with '#' are comments, kept apart. Called by importers; one thread per reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

namespace csv_limit {
inline constexpr std::size_t fields = 100'000;
inline constexpr std::size_t record_bytes = std::size_t{16} << 20U;
}  // namespace csv_limit

class MOESCOPE_API CsvReader {
 public:
  // `where` names the file in errors. The text must outlive the reader.
  CsvReader(std::string_view text, std::string where, char separator = ',');

  // The next record that is neither empty nor a comment, into `fields`; false at the end. Errors (input) with the line:
  // a quote inside a field without quotes, text behind a closing quote, a quote that is never closed, a limit.
  [[nodiscard]] Expected<bool> next(std::vector<std::string>& fields);
  // Line of the last record, counted from 1.
  [[nodiscard]] std::uint64_t line() const { return record_line_; }
  // True when the last record ended with an end of line; a record without may be cut off.
  [[nodiscard]] bool line_ended() const { return ended_; }
  // Byte behind the last record.
  [[nodiscard]] std::size_t offset() const { return at_; }
  // Comments met so far, without '#' and the spaces around.
  [[nodiscard]] const std::vector<std::string>& comments() const { return comments_; }
  // "file, line 12", of the last record.
  [[nodiscard]] std::string place() const;

 private:
  [[nodiscard]] Unexpected problem(std::string what) const;
  [[nodiscard]] Expected<void> quoted_field(std::string& out);
  std::string_view text_;
  std::string where_;
  char separator_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 1;
  std::uint64_t record_line_ = 0;
  bool ended_ = true;
  std::vector<std::string> comments_;
};

// A whole field as a number; nothing when it is not one, or does not fit.
[[nodiscard]] MOESCOPE_API std::optional<std::int64_t> whole_number(std::string_view field);
// Also "nan" and "inf"; spaces around are not allowed.
[[nodiscard]] MOESCOPE_API std::optional<double> real_number(std::string_view field);

}  // namespace moescope
