#include "app/cli/console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <mutex>

namespace moescope::cli {
namespace {

// The flag that Ctrl+C raises: the token of the bar that is shown, kept alive by it.
std::atomic<const CancelToken*> interrupted_token{nullptr};

void on_interrupt(int) {
  if (const CancelToken* token = interrupted_token.load()) token->cancel();
}

// The handler takes itself away when called, so that the second Ctrl+C does what it always does.
void listen_for_interrupt(const CancelToken* token) {
  interrupted_token.store(token);
  struct sigaction action = {};
  action.sa_handler = token ? on_interrupt : SIG_DFL;
  action.sa_flags = token ? SA_RESETHAND | SA_RESTART : 0;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

// Cuts at a character border, counting characters.
std::string first_characters(const std::string& text, std::size_t count) {
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t next = end + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0U) == 0x80U) ++next;
    if (count-- == 0) break;
    end = next;
  }
  return text.substr(0, end);
}

}  // namespace

void print_error(const Error& error) {
  std::string text = "moescope-cli: " + error.what;
  if (!error.where.empty()) text += " (" + error.where + ")";
  text += "\n";
  if (!error.advice.empty()) text += "  " + error.advice + ".\n";
  std::fputs(text.c_str(), stderr);
}

void note(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

Expected<void> check_output(const std::filesystem::path& out, bool force) {
  std::error_code error;
  if (force || !std::filesystem::exists(out, error)) return {};
  return fail(ErrorKind::usage, "the file to write exists already", out.string(),
              "Choose another name, or add --force to replace it");
}

Expected<void> print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return {};
  return fail(ErrorKind::input, "the output cannot be written", "standard output", "Check that the disk is not full");
}

Expected<void> print_json(const nlohmann::json& json) {
  return print(json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string Facts::text() const {
  std::size_t width = 0;
  for (const auto& [name, value] : facts_) width = std::max(width, name.size());
  std::string out = title_ + "\n";
  for (const auto& [name, value] : facts_) {
    std::string indented;
    for (const char c : value) {
      indented += c;
      if (c == '\n') indented += std::string(width + 4, ' ');
    }
    out += fmt::format("  {:<{}}  {}\n", name, width, indented);
  }
  return out;
}

std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string byte_words(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  constexpr std::array<const char*, 5> units{"kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  return fmt::format("{}", fmt::join(words, between));
}

struct ProgressBar::State {
  std::string what;
  bool terminal = isatty(STDERR_FILENO) != 0;
  std::mutex mutex;
  std::chrono::steady_clock::time_point last;
  bool shown = false;

  void show(const ProgressReport& report) {
    const std::lock_guard lock(mutex);
    const auto now = std::chrono::steady_clock::now();
    if (shown && report.fraction < 1 && now - last < std::chrono::milliseconds(80)) return;
    last = now;
    shown = true;
    constexpr int cells = 24;
    const double fraction = std::clamp(report.fraction, 0.0, 1.0);
    const int full = static_cast<int>(fraction * cells);
    std::string line = report.fraction < 0 ? std::string(cells + 8, ' ')
                                           : fmt::format("[{}{}] {:>3.0f} %", std::string(full, '='),
                                                         std::string(cells - full, ' '), fraction * 100);
    line += "  " + what + (report.stage.empty() ? "" : ": " + report.stage);
    const std::string cut = first_characters(line, static_cast<std::size_t>(std::max(10, terminal_width() - 1)));
    std::fprintf(stderr, "\r\x1b[K%s", cut.c_str());
    std::fflush(stderr);
  }
};

ProgressBar::ProgressBar(std::string what) : state_(std::make_shared<State>()) {
  state_->what = std::move(what);
  if (state_->terminal) {
    work_.on_progress = [state = state_](const ProgressReport& report) { state->show(report); };
  }
  listen_for_interrupt(&work_.cancel);
}

ProgressBar::~ProgressBar() {
  listen_for_interrupt(nullptr);
  if (state_->shown) std::fputs("\r\x1b[K", stderr);
}

}  // namespace moescope::cli
