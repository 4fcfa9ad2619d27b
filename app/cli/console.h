// What the subcommands share towards the terminal: errors, aligned facts, numbers, progress and Ctrl+C. Main thread,
// except that progress may be reported from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/progress.h"

namespace moescope::cli {

// "moescope-cli: what (where)" and, on a line of its own, what to do; on stderr.
void print_error(const Error& error);
// A line on stderr, for what a person wants to know and a pipe does not.
void note(std::string_view line);
// Text to stdout. Error (input) when it cannot be written.
[[nodiscard]] Expected<void> print(std::string_view text);
// JSON with an end of line, to stdout.
[[nodiscard]] Expected<void> print_json(const nlohmann::json& json);

// A recording may take hours, so nothing is written over unasked. Error (usage) when the file exists, unless `force`.
[[nodiscard]] Expected<void> check_output(const std::filesystem::path& out, bool force);

// Facts in two columns, under a title. A value of several lines stays in its column.
class Facts {
 public:
  explicit Facts(std::string title) : title_(std::move(title)) {}
  void add(std::string name, std::string value) { facts_.emplace_back(std::move(name), std::move(value)); }
  [[nodiscard]] std::string text() const;

 private:
  std::string title_;
  std::vector<std::pair<std::string, std::string>> facts_;
};

[[nodiscard]] std::string with_commas(std::uint64_t number);  // "6,919,161,856"
[[nodiscard]] std::string byte_words(std::uint64_t bytes);    // "7.9 MB"
[[nodiscard]] std::string joined(const std::vector<std::string>& words, std::string_view between = ", ");

// A bar on stderr while something long runs; nothing at all when stderr is no terminal. Its WorkContext is cancelled by
// Ctrl+C; a second Ctrl+C ends the program at once. One at a time.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  [[nodiscard]] const WorkContext& work() const { return work_; }

 private:
  struct State;
  std::shared_ptr<State> state_;
  WorkContext work_;
};

}  // namespace moescope::cli
