#include "core/base/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <new>
#include <sstream>
#include <utility>

namespace moescope {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string argument_names(const CommandSpec& spec) {
  std::string names;
  for (const auto& [name, help] : spec.arguments) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "it takes none" : "it takes " + names;
}

// How well a word fits a command: a title that starts with it is better than one that has it inside, and both are
// better than a hit in the id or the help. 0 = no fit.
int word_score(const CommandSpec& spec, const std::string& word) {
  const std::string title = lower(spec.title);
  if (title.starts_with(word)) return 8;
  if (title.find(" " + word) != std::string::npos) return 6;
  if (title.find(word) != std::string::npos) return 4;
  if (lower(spec.id).find(word) != std::string::npos) return 3;
  if (lower(spec.help).find(word) != std::string::npos) return 1;
  return 0;
}

// Score of all words together; a command that misses one word does not match.
int match_score(const CommandSpec& spec, const std::vector<std::string>& words) {
  int total = 0;
  for (const std::string& word : words) {
    const int score = word_score(spec, word);
    if (score == 0) return -1;
    total += score;
  }
  return total;
}

}  // namespace

Expected<void> CommandRegistry::add(CommandSpec spec) {
  if (spec.id.empty() || !spec.run) {
    return fail(ErrorKind::internal, "a command needs an id and something to run", spec.id);
  }
  for (const CommandSpec& other : specs_) {
    if (other.id == spec.id) return fail(ErrorKind::internal, "this command id is taken", spec.id);
    if (!spec.shortcut.empty() && other.shortcut == spec.shortcut) {
      return fail(ErrorKind::internal, fmt::format("the shortcut {} is taken by {}", spec.shortcut, other.id), spec.id);
    }
  }
  specs_.push_back(std::move(spec));
  return {};
}

const CommandSpec* CommandRegistry::find(const std::string& id) const {
  const auto found = std::find_if(specs_.begin(), specs_.end(), [&](const CommandSpec& s) { return s.id == id; });
  return found == specs_.end() ? nullptr : &*found;
}

Expected<nlohmann::json> CommandRegistry::run(const std::string& id, const nlohmann::json& arguments) const {
  const CommandSpec* spec = find(id);
  if (!spec) {
    const auto similar = search(id);
    return fail(ErrorKind::usage, "there is no such command", id,
                similar.empty() ? "" : "The nearest is " + similar.front()->id);
  }
  if (!arguments.is_null() && !arguments.is_object()) {
    return fail(ErrorKind::usage, "the arguments must be a JSON object", id);
  }
  for (const auto& [name, value] : arguments.items()) {
    const bool known = std::any_of(spec->arguments.begin(), spec->arguments.end(),
                                   [&, key = name](const auto& argument) { return argument.first == key; }) ||
                       (spec->background && name == "background");
    if (!known) return fail(ErrorKind::usage, fmt::format("unknown argument {}; {}", name, argument_names(*spec)), id);
  }
  if (spec->unavailable) {
    if (std::string reason = spec->unavailable(); !reason.empty()) return fail(ErrorKind::usage, std::move(reason), id);
  }
  try {
    return spec->run(arguments.is_null() ? nlohmann::json::object() : arguments);
  } catch (const nlohmann::json::exception& e) {
    return fail(ErrorKind::usage, fmt::format("an argument has the wrong type: {}", e.what()), id);
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::device, "there is not enough memory for this", id,
                "Close other traces, or narrow the filter");
  } catch (const std::exception& e) {
    return fail(ErrorKind::internal, e.what(), id, "This is a defect of the program; please report it");
  }
}

std::vector<const CommandSpec*> CommandRegistry::search(const std::string& text) const {
  std::vector<std::string> words;
  std::istringstream stream(lower(text));
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<std::pair<int, const CommandSpec*>> hits;
  for (const CommandSpec& spec : specs_) {
    if (const int score = match_score(spec, words); score >= 0) hits.emplace_back(score, &spec);
  }
  std::stable_sort(hits.begin(), hits.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<const CommandSpec*> found;
  found.reserve(hits.size());
  for (const auto& [score, spec] : hits) found.push_back(spec);
  return found;
}

}  // namespace moescope
