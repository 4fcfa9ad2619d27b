#include "core/workbench/workbench.h"

#include <utility>

#include "core/workbench/state.h"

namespace moescope {

Workbench::Workbench(WorkbenchOptions options) : state_(std::make_unique<State>(std::move(options))) {
  add_source_commands(*state_);
  add_session_commands(*state_);
  add_edit_commands(*state_);
  add_filter_commands(*state_);
  add_selection_commands(*state_);
  add_note_commands(*state_);
  add_run_commands(*state_);
  add_export_commands(*state_);
}

Workbench::~Workbench() {
  // An unsaved session in which nothing was done is not worth finding at the next start.
  const bool drop = state_->unsaved && state_->session.untouched();
  const std::filesystem::path path = state_->session.path();
  state_.reset();
  std::error_code ignored;
  if (drop && !path.empty()) std::filesystem::remove(path, ignored);
}

CommandRegistry& Workbench::commands() {
  return state_->commands;
}
const CommandRegistry& Workbench::commands() const {
  return state_->commands;
}
const std::vector<Source>& Workbench::sources() const {
  return state_->sources;
}
const Source* Workbench::source(std::int64_t id) const {
  return state_->find_source(id);
}
const Source* Workbench::active_trace() const {
  return state_->active(SourceKind::trace);
}
const Source* Workbench::active_checkpoint() const {
  return state_->active(SourceKind::checkpoint);
}
const AppliedFilter& Workbench::filter() const {
  return state_->filter;
}
const Selection& Workbench::selection() const {
  return state_->selection;
}
const std::vector<Annotation>& Workbench::annotations() const {
  return state_->annotations;
}
const std::vector<Prompt>& Workbench::prompts() const {
  return state_->prompts;
}
std::vector<JobStatus> Workbench::jobs() const {
  return state_->jobs.list();
}
std::string Workbench::next_undo() const {
  return state_->session.next_undo();
}
std::string Workbench::next_redo() const {
  return state_->session.next_redo();
}
std::filesystem::path Workbench::session_path() const {
  return state_->session.path();
}
bool Workbench::session_unsaved() const {
  return state_->unsaved;
}
bool Workbench::session_untouched() const {
  return state_->session.untouched();
}
std::vector<std::filesystem::path> Workbench::recent_files() const {
  return state_->recent.list();
}
const std::optional<Error>& Workbench::last_error() const {
  return state_->last_error;
}

nlohmann::json Workbench::option(const std::string& name, nlohmann::json fallback) const {
  const auto found = state_->view_options.find(name);
  return found == state_->view_options.end() ? std::move(fallback) : found->second;
}

std::shared_ptr<void> Workbench::listen(std::function<void(Changes)> callback) {
  auto listener = std::make_shared<std::function<void(Changes)>>(std::move(callback));
  state_->listeners.emplace_back(listener);
  return listener;
}

void Workbench::wait_for_jobs() {
  state_->jobs.wait_until_idle();
}

}  // namespace moescope
