// Commands on sources: open, remove, locate, activate, and the sample.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <system_error>

#include "core/base/resources.h"
#include "core/workbench/state.h"

namespace moescope {
namespace {

const char* kind_name(SourceKind kind) {
  return kind == SourceKind::checkpoint ? "checkpoint" : "trace";
}

nlohmann::json source_json(const Opened& opened) {
  nlohmann::json json = {{"kind", kind_name(opened.kind)},
                         {"name", opened.name},
                         {"path", opened.path.string()},
                         {"bytes", opened.bytes},
                         {"hash", opened.hash}};
  if (!opened.import.is_null()) json["import"] = opened.import;
  return json;
}

// The arguments that tell how a foreign trace is read; null when there are none.
nlohmann::json import_arguments(const nlohmann::json& arguments) {
  nlohmann::json out;
  for (const char* name : {"format", "model", "top_k", "experts", "layers"}) {
    const auto found = arguments.find(name);
    if (found != arguments.end() && !found->is_null() &&
        !(found->is_string() && found->get_ref<const std::string&>().empty()))
      out[name] = *found;
  }
  if (out.contains("model") && out["model"].is_string()) {  // a session may be opened from elsewhere
    std::error_code ignored;
    out["model"] = std::filesystem::absolute(out["model"].get<std::string>(), ignored).lexically_normal().string();
  }
  return out;
}

// Makes a source the active one of its kind. A filter or selection that does not fit the new trace is dropped.
void activate_edits(const WorkbenchState& state, std::int64_t id, SourceKind kind, const Trace* trace, Action& action) {
  if (kind == SourceKind::checkpoint) {
    action.edits.push_back(set_edit("state", "active_checkpoint", id));
    // Without a trace the selection is of the checkpoint's experts.
    if (id != state.active_checkpoint && !state.active(SourceKind::trace) && !state.selection.empty())
      action.edits.push_back(set_edit("state", "selection", nullptr));
    return;
  }
  action.edits.push_back(set_edit("state", "active_trace", id));
  if (!trace) return;
  const std::string text = state.stored_filter();
  if (!text.empty() && !apply_filter(*trace, text)) action.edits.push_back(set_edit("state", "filter", nullptr));
  if (!selection_fits(state.selection, *trace)) action.edits.push_back(set_edit("state", "selection", nullptr));
}

const Source* same_source(const WorkbenchState& state, const Opened& opened) {
  const auto found = std::find_if(state.sources.begin(), state.sources.end(), [&](const Source& s) {
    return s.path == opened.path && s.kind == opened.kind && s.hash == opened.hash;
  });
  return found == state.sources.end() ? nullptr : &*found;
}

Expected<void> open_into(Opened& opened, const std::filesystem::path& path, const nlohmann::json& import) {
  auto made = open_path(path, import);
  if (!made) return fail(made.error());
  opened = std::move(*made);
  return {};
}

Expected<nlohmann::json> open_source(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  std::error_code ignored;
  if (std::filesystem::is_regular_file(*path, ignored) && is_sqlite_file(*path)) {
    return enter_session_file(state, *path, arguments);
  }
  const auto opened = std::make_shared<Opened>();
  const auto finish = [&state, opened] {
    state.recent.add(opened->path);
    return adopt(state, std::move(*opened), "source.open");
  };
  return run_parts(
      state, arguments,
      {"Open " + path->filename().string(), "",
       [opened, file = *path, import = import_arguments(arguments)] { return open_into(*opened, file, import); },
       finish});
}

Expected<nlohmann::json> remove_source(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto id = id_argument(arguments, "id");
  if (!id) return fail(id.error());
  const Source* source = state.find_source(*id);
  if (!source) return fail(ErrorKind::usage, fmt::format("there is no source {}", *id));
  Action action{0, "source.remove", "remove " + source->name, "", false, {}};
  action.edits.push_back(set_edit("source", std::to_string(*id), nullptr));
  for (const Annotation& note : state.annotations) {
    if (note.source == *id) action.edits.push_back(set_edit("annotation", std::to_string(note.id), nullptr));
  }
  const bool active = *id == state.active_trace || *id == state.active_checkpoint;
  if (active) {  // the last other one of its kind takes its place
    const auto next = std::find_if(state.sources.rbegin(), state.sources.rend(),
                                   [&](const Source& s) { return s.id != *id && s.kind == source->kind && !s.error; });
    if (next != state.sources.rend()) {
      activate_edits(state, next->id, next->kind, next->trace.get(), action);
    } else if (source->kind == SourceKind::checkpoint) {
      action.edits.push_back(set_edit("state", "active_checkpoint", nullptr));
      if (!state.active(SourceKind::trace)) action.edits.push_back(set_edit("state", "selection", nullptr));
    } else {
      for (const char* name : {"active_trace", "filter", "selection"}) {
        action.edits.push_back(set_edit("state", name, nullptr));
      }
    }
  }
  return state.act(std::move(action));
}

// The same content elsewhere is taken as it is; other content only when the caller says so.
Expected<nlohmann::json> take_located(WorkbenchState& state, std::int64_t id, bool accept, Opened opened) {
  const Source* source = state.find_source(id);
  if (!source) return fail(ErrorKind::usage, fmt::format("there is no source {}", id));
  if (opened.kind != source->kind) {
    return fail(
        ErrorKind::input,
        fmt::format("this is a {}, but {} is a {}", kind_name(opened.kind), source->name, kind_name(source->kind)),
        opened.path.string(), "Choose the file that was moved");
  }
  const bool same = opened.hash == source->hash;
  if (!same && !accept) {
    return fail(ErrorKind::input, fmt::format("this is not the content that {} had", source->name),
                opened.path.string(), "Locate it with `accept` to use it instead; results will change");
  }
  nlohmann::json item = source_json(opened);
  item["name"] = source->name;
  Action action{0, "source.locate", "locate " + source->name, "", false, {}};
  action.edits.push_back(set_edit("source", std::to_string(id), std::move(item)));
  state.just_opened.push_back(std::move(opened));
  return state.act(std::move(action), {{"id", id}, {"same", same}});
}

Expected<nlohmann::json> locate_source(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto id = id_argument(arguments, "id");
  if (!id) return fail(id.error());
  const auto path = path_argument(arguments, "path");
  if (!path) return fail(path.error());
  const Source* source = state.find_source(*id);
  if (!source) return fail(ErrorKind::usage, fmt::format("there is no source {}", *id));
  const auto item = state.source_items.find(*id);
  const bool told = item != state.source_items.end() && item->second.contains("import");
  const auto opened = std::make_shared<Opened>();
  const auto work = [opened, file = *path, import = told ? item->second["import"] : nlohmann::json()] {
    return open_into(*opened, file, import);
  };
  const auto finish = [&state, opened, id = *id, accept = arguments.value("accept", false)] {
    return take_located(state, id, accept, std::move(*opened));
  };
  return run_parts(state, arguments, {"Open " + source->name, "", work, finish});
}

Expected<nlohmann::json> activate(WorkbenchState& state, const nlohmann::json& arguments, SourceKind kind) {
  const auto id = id_argument(arguments, "id");
  if (!id) return fail(id.error());
  const Source* source = state.find_source(*id);
  if (!source || source->kind != kind) {
    return fail(ErrorKind::usage, fmt::format("there is no {} {}", kind_name(kind), *id));
  }
  if (kind == SourceKind::trace && state.live) {  // back from what is being generated
    state.live_dismissed = true;
    state.end_live();
    if (*id == state.active_trace) return nlohmann::json::object();
  }
  const std::string command = std::string(kind_name(kind)) + ".activate";
  Action action{0, command, "show " + source->name, "", false, {}};
  activate_edits(state, *id, kind, source->trace.get(), action);
  return state.act(std::move(action));
}

// The sample's model, then the trace of its held-out text, which is shown. One action each; the reply is the trace's.
Expected<nlohmann::json> open_sample(WorkbenchState& state, const nlohmann::json& arguments) {
  const auto all = std::make_shared<std::vector<Opened>>();
  const auto work = [all]() -> Expected<void> {
    for (const char* name : {"sample/model", "sample/held-out.routes.safetensors"}) {
      const auto path = find_resource(name);
      if (!path) return fail(path.error());
      if (auto done = open_into(all->emplace_back(), *path, nullptr); !done) return done;
    }
    return {};
  };
  const auto finish = [&state, all] {
    Expected<nlohmann::json> reply = nlohmann::json();
    for (Opened& opened : *all) {
      reply = adopt(state, std::move(opened), "sample.open");
      if (!reply) break;
    }
    return reply;
  };
  return run_parts(state, arguments, {"Open the sample", "", work, finish});
}

}  // namespace

Expected<nlohmann::json> adopt(WorkbenchState& state, Opened opened, const std::string& command,
                               std::vector<Edit> more) {
  nlohmann::json reply = {{"kind", kind_name(opened.kind)}, {"name", opened.name}, {"path", opened.path.string()}};
  Action action{0, command, "open " + opened.name, "", false, std::move(more)};
  std::int64_t id = 0;
  if (const Source* known = same_source(state, opened)) {
    id = known->id;
  } else {
    id = state.session.new_id();
    action.edits.push_back(set_edit("source", std::to_string(id), source_json(opened)));
  }
  reply["id"] = id;
  activate_edits(state, id, opened.kind, opened.trace.get(), action);
  state.just_opened.push_back(std::move(opened));
  return state.act(std::move(action), std::move(reply));
}

void add_source_commands(WorkbenchState& state) {
  add_command(state, {"source.open",
                      "Open…",
                      "Opens a checkpoint folder, a trace of any known format or a session.",
                      "File",
                      "Ctrl+O",
                      "document-open",
                      {{"path", "file or folder to open"},
                       {"format", "format of a foreign trace, where its content fits several"},
                       {"model", "folder, config.json or tokenizer.json of the model it was recorded on"},
                       {"top_k", "experts per token, where the file does not say"},
                       {"experts", "experts per layer, where the file does not say"},
                       {"layers", "layers, where the file does not say"}},
                      {},
                      [&state](const nlohmann::json& a) { return open_source(state, a); },
                      true});
  add_command(state, {"sample.open",
                      "Open the sample",
                      "Opens the bundled model and its trace.",
                      "File",
                      "",
                      "folder-open",
                      {},
                      {},
                      [&state](const nlohmann::json& a) { return open_sample(state, a); },
                      true});
  add_command(state, {"source.locate",
                      "Locate…",
                      "Tells where a source that was moved lies now.",
                      "",
                      "",
                      "edit-find",
                      {{"id", "source"}, {"path", "where it is now"}, {"accept", "true to take other content too"}},
                      {},
                      [&state](const nlohmann::json& a) { return locate_source(state, a); },
                      true});
  add_command(state, {"source.remove",
                      "Remove from session",
                      "Takes a source and its notes out of the session; the file stays.",
                      "",
                      "",
                      "list-remove",
                      {{"id", "source"}},
                      {},
                      [&state](const nlohmann::json& a) { return remove_source(state, a); }});
  add_command(state, {"trace.activate",
                      "Show this trace",
                      "Makes a trace the one that all views show.",
                      "",
                      "",
                      "view-visible",
                      {{"id", "trace"}},
                      {},
                      [&state](const nlohmann::json& a) { return activate(state, a, SourceKind::trace); }});
  add_command(state, {"checkpoint.activate",
                      "Run prompts on this checkpoint",
                      "Makes a checkpoint the one that prompts and captures run on.",
                      "",
                      "",
                      "run-build",
                      {{"id", "checkpoint"}},
                      {},
                      [&state](const nlohmann::json& a) { return activate(state, a, SourceKind::checkpoint); }});
}

}  // namespace moescope
