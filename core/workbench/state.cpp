#include "core/workbench/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "core/base/clock.h"
#include "core/base/hash.h"

namespace moescope {
namespace {

// Results in memory; each is at most some megabytes.
constexpr std::size_t results_in_memory = 64;

Changes bit(Change change) {
  return static_cast<Changes>(change);
}

// A session that is only in memory always works.
Session memory_session() {
  return std::move(*Session::create({}));
}

// Where a stored source is now: beside the session if it moved along with it, else where it was.
std::filesystem::path present_path(const nlohmann::json& item, const std::filesystem::path& session_folder) {
  std::filesystem::path stored = item.value("path", "");
  const std::string relative = item.value("relative", "");
  if (relative.empty() || session_folder.empty()) return stored;
  std::filesystem::path beside = (session_folder / relative).lexically_normal();
  std::error_code ignored;
  return std::filesystem::exists(beside, ignored) ? beside : stored;
}

Source describe(std::int64_t id, const nlohmann::json& item, const std::filesystem::path& session_folder) {
  Source source;
  source.id = id;
  source.kind = item.value("kind", "") == "checkpoint" ? SourceKind::checkpoint : SourceKind::trace;
  source.path = present_path(item, session_folder);
  source.name = item.value("name", source.path.filename().string());
  source.bytes = item.value("bytes", std::uint64_t{0});
  source.hash = item.value("hash", "");
  return source;
}

void fill(Source& source, const Opened& opened) {
  if (opened.kind != source.kind || opened.hash != source.hash) {
    source.error = Error{ErrorKind::input, "the file changed since it was added to the session", source.path.string(),
                         "Use Locate to point to the original, or to accept this one"};
    return;
  }
  source.checkpoint = opened.checkpoint;
  source.trace = opened.trace;
}

}  // namespace

WorkbenchState::WorkbenchState(WorkbenchOptions given)
    : options(std::move(given)),
      queue(options.post_to_main),
      jobs(queue, [this] { notify(bit(Change::jobs)); }),
      session(memory_session()),
      recent(options.settings_folder),
      results(results_in_memory) {
  if (options.settings_folder.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(options.settings_folder, error);
  if (auto made = make_unsaved_session()) {
    session = std::move(*made);
  } else {
    last_error = made.error();
  }
}

Expected<Session> WorkbenchState::make_unsaved_session() {
  if (options.settings_folder.empty()) return Session::create({});
  const std::filesystem::path folder = options.settings_folder / "unsaved";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string stamp = utc_now();
  std::replace(stamp.begin(), stamp.end(), ':', '-');
  for (int i = 1;; ++i) {
    const auto path = folder / fmt::format("{}-{}-{}.moescope", stamp, process_id(), i);
    if (!std::filesystem::exists(path, error)) return Session::create(path);
  }
}

void WorkbenchState::enter(Session next, bool is_unsaved) {
  jobs.cancel_all();
  live.reset();
  ++generation;
  session = std::move(next);
  unsaved = is_unsaved;
  sources.clear();
  source_items.clear();
  notify(reload() | bit(Change::session) | bit(Change::sources) | bit(Change::undo) | bit(Change::active_trace));
}

Expected<nlohmann::json> WorkbenchState::act(Action action, nlohmann::json reply) {
  const auto sequence = session.record(std::move(action));
  just_opened.resize(*sequence == 0 || !sequence ? 0 : just_opened.size());
  if (!sequence) return fail(sequence.error());
  reply["action"] = *sequence;
  if (*sequence > 0) notify(reload() | bit(Change::undo));
  return reply;
}

void WorkbenchState::notify(Changes changes) {
  if (changes == 0) return;
  // A listener may add or drop listeners.
  const auto all = listeners;
  for (const auto& weak : all) {
    if (const auto listener = weak.lock()) (*listener)(changes);
  }
  std::erase_if(listeners, [](const auto& weak) { return weak.expired(); });
}

void WorkbenchState::show_error(const Error& error) {
  last_error = error;
  notify(bit(Change::error));
}

std::vector<Opened> open_sources(const Session& session) {
  std::vector<Opened> all;
  const auto items = session.items("source");
  if (!items) return all;
  for (const auto& [key, item] : *items) {
    if (auto opened =
            open_path(present_path(item, session.path().parent_path()), item.value("import", nlohmann::json())))
      all.push_back(std::move(*opened));
  }
  return all;
}

Changes WorkbenchState::reload() {
  Changes changes = 0;
  reload_sources(changes);
  reload_values(changes);
  just_opened.clear();
  return changes;
}

void WorkbenchState::reload_sources(Changes& changes) {
  const auto items = session.items("source");
  if (!items) return show_error(items.error());
  const std::filesystem::path folder = session.path().parent_path();
  std::vector<Source> next;
  std::map<std::int64_t, nlohmann::json> next_items;
  for (const auto& [key, item] : *items) {
    const std::int64_t id = std::stoll(key);
    next_items.emplace(id, item);
    const auto known = source_items.find(id);
    const Source* loaded = find_source(id);
    if (loaded && known != source_items.end() && known->second == item) {
      next.push_back(*loaded);
      continue;
    }
    changes |= bit(Change::sources);
    Source source = describe(id, item, folder);
    const auto opened = std::find_if(just_opened.begin(), just_opened.end(),
                                     [&](const Opened& one) { return one.path == source.path; });
    if (opened != just_opened.end()) {
      fill(source, *opened);
    } else if (const auto again = open_path(source.path, item.contains("import") ? item["import"] : nlohmann::json())) {
      fill(source, *again);
    } else {
      source.error = again.error();
    }
    next.push_back(std::move(source));
  }
  if (next.size() != sources.size()) changes |= bit(Change::sources);
  sources = std::move(next);
  source_items = std::move(next_items);
}

void WorkbenchState::reload_values(Changes& changes) {
  const auto state_items = session.items("state");
  const auto note_items = session.items("annotation");
  const auto option_items = session.items("option");
  const auto prompt_items = session.items("prompt");
  for (const auto* items : {&state_items, &note_items, &option_items, &prompt_items}) {
    if (!*items) return show_error(items->error());
  }
  const std::map<std::string, nlohmann::json> state(state_items->begin(), state_items->end());
  const auto value = [&](const char* name) {
    const auto found = state.find(name);
    return found == state.end() ? nlohmann::json() : found->second;
  };
  const auto id_value = [&](const char* name) {
    const auto json = value(name);
    return json.is_number_integer() ? json.get<std::int64_t>() : std::int64_t{0};
  };
  if (std::exchange(active_trace, id_value("active_trace")) != active_trace) changes |= bit(Change::active_trace);
  if (std::exchange(active_checkpoint, id_value("active_checkpoint")) != active_checkpoint) {
    changes |= bit(Change::sources);
  }
  const auto text = value("filter");
  apply_stored_filter(text.is_string() ? text.get<std::string>() : std::string(), changes);
  Selection picked = selection_from_json(value("selection"));
  if (picked != selection) changes |= bit(Change::selection);
  selection = std::move(picked);

  std::vector<Annotation> notes;
  for (const auto& [key, item] : *note_items) {
    notes.push_back(
        {std::stoll(key), item.value("source", std::int64_t{0}), item.value("anchor", ""), item.value("text", "")});
  }
  const auto same_note = [](const Annotation& a, const Annotation& b) {
    return a.id == b.id && a.source == b.source && a.anchor == b.anchor && a.text == b.text;
  };
  if (!std::equal(notes.begin(), notes.end(), annotations.begin(), annotations.end(), same_note)) {
    changes |= bit(Change::annotations);
  }
  annotations = std::move(notes);

  prompts.clear();
  for (const auto& [key, item] : *prompt_items)
    prompts.push_back({item.value("text", ""), item.value("format", "raw")});

  std::map<std::string, nlohmann::json> values(option_items->begin(), option_items->end());
  if (values != view_options) changes |= bit(Change::options);
  view_options = std::move(values);
}

// A stored filter that does not fit the trace (its file was replaced) is shown as an error and filters nothing.
void WorkbenchState::apply_stored_filter(const std::string& text, Changes& changes) {
  const Source* trace = active(SourceKind::trace);
  const bool loaded = trace && trace->trace;
  nlohmann::json inputs = {active_trace, loaded ? trace->hash : "", text};
  if (inputs == filter_inputs) return;
  if (filter_inputs.is_array() && filter_inputs[1] != inputs[1]) changes |= bit(Change::active_trace);
  filter_inputs = std::move(inputs);
  filter = AppliedFilter{};
  changes |= bit(Change::filter);
  if (!loaded || text.empty()) return;
  if (auto known = filters.find(trace->trace, text)) {
    filter = std::move(*known);
    return;
  }
  if (auto applied = apply_filter(*trace->trace, text)) {
    filter = std::move(*applied);
    if (!live) filters.put(trace->trace, filter);
  } else if (!live) {  // what is generated need not have what the filter asks for
    last_error = applied.error();
    changes |= bit(Change::error);
  }
}

void WorkbenchState::show_live(std::shared_ptr<const Trace> trace) {
  if (live_dismissed) return;
  // A picture that is being made of the last state is finished first; there will be another.
  const auto list = jobs.list();
  const auto busy = std::count_if(list.begin(), list.end(), [](const JobStatus& job) {
    return job.state == JobState::running || job.state == JobState::waiting;
  });
  if (live && busy > 1) return;
  Source source;
  source.id = live_source_id;
  source.name = trace->name;
  source.hash = fmt::format("live {}", trace->token_count());
  source.trace = std::move(trace);
  live = std::move(source);
  Changes changes = bit(Change::active_trace);
  apply_stored_filter(stored_filter(), changes);
  notify(changes);
}

std::string WorkbenchState::stored_filter() const {
  return filter_inputs.is_array() ? filter_inputs[2].get<std::string>() : std::string();
}

void WorkbenchState::end_live() {
  if (!live) return;
  live.reset();
  notify(reload() | bit(Change::active_trace) | bit(Change::filter));
}

const Source* WorkbenchState::find_source(std::int64_t id) const {
  const auto found = std::find_if(sources.begin(), sources.end(), [&](const Source& s) { return s.id == id; });
  return found == sources.end() ? nullptr : &*found;
}

const Source* WorkbenchState::active(SourceKind kind) const {
  if (kind == SourceKind::trace && live) return &*live;
  const Source* source = find_source(kind == SourceKind::trace ? active_trace : active_checkpoint);
  return source && source->kind == kind ? source : nullptr;
}

std::string WorkbenchState::key_of(const std::string& analysis, const nlohmann::json& params) const {
  const auto key = [&](const AnalysisSpec& spec, const std::string& input, const std::string& tokens) {
    if (input.empty()) return std::string();
    nlohmann::json all = nlohmann::json::object();
    for (const ParameterSpec& parameter : spec.parameters) all[parameter.name] = parameter.default_value;
    if (params.is_object()) all.update(params);
    const nlohmann::json parts = {input, analysis, spec.version, all, tokens};
    return hash_hex(parts.dump());
  };
  if (const CheckpointAnalysisSpec* spec = find_checkpoint_analysis(analysis)) {
    const Source* checkpoint = active(SourceKind::checkpoint);
    return checkpoint && checkpoint->checkpoint ? key(spec->about, checkpoint->hash, "") : std::string();
  }
  const Source* trace = active(SourceKind::trace);
  const AnalysisSpec* spec = find_analysis(analysis);
  if (!trace || !trace->trace || !spec || !spec->stored) return {};
  return key(*spec, trace->trace->content_hash, filter.filter.text);
}

std::string label_of(const WorkbenchState& state, ExpertRef expert) {
  const Source* trace = state.active(SourceKind::trace);
  if (trace && trace->trace && expert.row < trace->trace->rows().size()) {
    return expert_label(trace->trace->rows()[expert.row].layer, expert.expert);
  }
  const Source* checkpoint = state.active(SourceKind::checkpoint);
  if (!trace && checkpoint && checkpoint->checkpoint) {
    const std::vector<std::uint32_t> layers = expert_layers(checkpoint->checkpoint->spec());
    if (expert.row < layers.size()) return expert_label(static_cast<int>(layers[expert.row]), expert.expert);
  }
  return fmt::format("row {}·E{:02}", expert.row, expert.expert);
}

Expected<nlohmann::json> run_parts(WorkbenchState& state, const nlohmann::json& arguments, TwoParts parts) {
  if (!arguments.value("background", false)) {
    if (const auto done = parts.work(); !done) return fail(done.error());
    return parts.finish();
  }
  const std::int64_t id = state.jobs.start(
      {std::move(parts.title), std::move(parts.slot), JobLane::pool,
       [work = std::move(parts.work)](const WorkContext&) { return work(); },
       [&state, finish = std::move(parts.finish), generation = state.generation](const Expected<void>& outcome) {
         if (generation != state.generation) return;  // the session that asked for it is gone
         if (!outcome) {
           if (outcome.error().kind != ErrorKind::cancelled) state.show_error(outcome.error());
           return;
         }
         if (const auto done = finish(); !done) state.show_error(done.error());
       }});
  return nlohmann::json{{"job", id}};
}

std::string needs_trace(const WorkbenchState& state) {
  const Source* trace = state.active(SourceKind::trace);
  return trace && trace->trace ? "" : "open a trace first";
}

std::string needs_experts(const WorkbenchState& state) {
  const Source* checkpoint = state.active(SourceKind::checkpoint);
  if (!state.active(SourceKind::trace) && checkpoint && checkpoint->checkpoint) return "";
  return needs_trace(state);
}

void add_command(WorkbenchState& state, CommandSpec spec) {
  if (const auto added = state.commands.add(std::move(spec)); !added) state.last_error = added.error();
}

Expected<std::string> text_argument(const nlohmann::json& arguments, const char* name) {
  const auto found = arguments.find(name);
  if (found == arguments.end() || !found->is_string()) {
    return fail(ErrorKind::usage, fmt::format("this needs the text argument `{}`", name));
  }
  return found->get<std::string>();
}

Expected<std::filesystem::path> path_argument(const nlohmann::json& arguments, const char* name) {
  const auto text = text_argument(arguments, name);
  if (!text) return fail(text.error());
  if (text->empty()) return fail(ErrorKind::usage, fmt::format("the argument `{}` must name a file", name));
  return std::filesystem::path(*text);
}

Expected<std::int64_t> id_argument(const nlohmann::json& arguments, const char* name) {
  const auto found = arguments.find(name);
  if (found == arguments.end() || !found->is_number_integer()) {
    return fail(ErrorKind::usage, fmt::format("this needs the number argument `{}`", name));
  }
  return found->get<std::int64_t>();
}

}  // namespace moescope
