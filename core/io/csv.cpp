#include "core/io/csv.h"

#include <fmt/format.h>

#include <charconv>

namespace moescope {

CsvReader::CsvReader(std::string_view text, std::string where, char separator)
    : text_(text), where_(std::move(where)), separator_(separator) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

std::string CsvReader::place() const {
  return fmt::format("{}, line {}", where_, record_line_);
}

Unexpected CsvReader::problem(std::string what) const {
  return fail(ErrorKind::input, std::move(what), place(), "Correct the line, or write the table again");
}

Expected<void> CsvReader::quoted_field(std::string& out) {
  ++at_;  // the opening quote
  for (;;) {
    const std::size_t quote = text_.find('"', at_);
    if (quote == std::string_view::npos) return problem("a quote is never closed");
    for (std::size_t i = at_; i < quote; ++i) line_ += text_[i] == '\n' ? 1U : 0U;
    out.append(text_.substr(at_, quote - at_));
    if (out.size() > csv_limit::record_bytes) return problem("a field is too long");
    at_ = quote + 1;
    if (at_ >= text_.size() || text_[at_] != '"') break;
    out.push_back('"');
    ++at_;
  }
  if (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
    return problem("text follows a closing quote");
  }
  return {};
}

Expected<bool> CsvReader::next(std::vector<std::string>& fields) {
  fields.clear();
  for (;;) {  // comments and empty lines
    if (at_ >= text_.size()) return false;
    const std::size_t newline = text_.find('\n', at_);
    const std::size_t end = newline == std::string_view::npos ? text_.size() : newline;
    std::string_view line = text_.substr(at_, end - at_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool comment = line.starts_with('#');
    if (!line.empty() && !comment) break;
    if (comment && comments_.size() < csv_limit::fields) {
      const std::size_t first = line.find_first_not_of("# \t");
      comments_.emplace_back(first == std::string_view::npos ? "" : line.substr(first));
    }
    at_ = newline == std::string_view::npos ? text_.size() : newline + 1;
    ++line_;
  }
  record_line_ = line_;
  const std::size_t begin = at_;
  for (;;) {
    std::string& field = fields.emplace_back();
    if (fields.size() > csv_limit::fields)
      return problem(fmt::format("there are more than {} fields", csv_limit::fields));
    if (at_ < text_.size() && text_[at_] == '"') {
      if (auto read = quoted_field(field); !read) return fail(read.error());
    } else {
      std::size_t end = at_;
      while (end < text_.size() && text_[end] != separator_ && text_[end] != '\n') ++end;
      std::string_view plain = text_.substr(at_, end - at_);
      at_ = end;
      if (plain.ends_with('\r') && (end == text_.size() || text_[end] == '\n')) plain.remove_suffix(1);
      if (plain.find('"') != std::string_view::npos) return problem("a quote stands inside a field without quotes");
      field = plain;
    }
    if (at_ - begin > csv_limit::record_bytes) return problem("the record is too long");
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    ended_ = at_ < text_.size() && text_[at_] == '\n';
    if (at_ >= text_.size()) return true;
    if (text_[at_] == '\n') {
      ++at_;
      ++line_;
      return true;
    }
    ++at_;  // the separator
  }
}

std::optional<std::int64_t> whole_number(std::string_view field) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
  return value;
}

std::optional<double> real_number(std::string_view field) {
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
  return value;
}

}  // namespace moescope
