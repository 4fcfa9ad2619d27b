#include "app/cli/open_input.h"

#include "core/io/gguf.h"
#include "core/io/safetensors.h"
#include "core/session/session.h"
#include "core/trace/import/importer.h"
#include "core/trace/trace_file.h"

namespace moescope::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* looked_for =
    "Looked for a checkpoint folder with config.json, a GGUF model, a session (*.moescope) and a trace. ";

Expected<fs::file_status> status_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status))
    return fail(ErrorKind::input, "there is no such file or folder", path.string(), "Check the path");
  if (fs::is_directory(status)) return status;
  if (!fs::is_regular_file(status)) {
    return fail(ErrorKind::input, "this is neither a file nor a folder", path.string(), looked_for);
  }
  if (fs::file_size(path, error) == 0)
    return fail(ErrorKind::input, "the file is empty", path.string(), "Copy it again");
  return status;
}

template <typename T>
Expected<Input> as_input(Expected<T> opened) {
  if (!opened) return fail(std::move(opened.error()));
  return Input(std::move(*opened));
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A trace of any format. A folder stands for the files of one recording.
Expected<std::shared_ptr<const Trace>> read_shared_trace(const fs::path& path) {
  ImportOptions options;
  options.converted = converted_imports_folder();
  auto trace = import_trace({path}, options);
  if (!trace) return fail(std::move(trace.error()));
  return std::make_shared<const Trace>(std::move(*trace));
}

// A GGUF model, or torch weights with a config.json beside them.
bool is_checkpoint_file(const fs::path& path) {
  const std::string name = path.filename().string();
  const auto file = MappedFile::open(path);
  if (file && looks_like_gguf((*file)->bytes())) return true;
  std::error_code error;
  return (ends_with(name, ".bin") || ends_with(name, ".pt") || ends_with(name, ".pth")) &&
         fs::exists(fs::absolute(path, error).parent_path() / "config.json", error);
}

}  // namespace

Expected<Input> open_input(const fs::path& path) {
  const auto status = status_of(path);
  if (!status) return fail(status.error());
  if (fs::is_directory(*status)) {
    auto checkpoint = Checkpoint::open(path);
    if (checkpoint) return as_input(std::move(checkpoint));
    std::error_code ignored;
    if (fs::exists(path / "config.json", ignored)) return fail(checkpoint.error());
    // What is wrong with a folder as a checkpoint says more than that no file in it is a trace.
    auto trace = read_shared_trace(path);
    return trace || trace.error().kind == ErrorKind::usage ? as_input(std::move(trace)) : fail(checkpoint.error());
  }
  if (is_session_file(path)) return Input(SessionFile{path});
  if (looks_like_trace(path)) return as_input(read_shared_trace(path));
  const std::string name = path.filename().string();
  if (name == "config.json" || ends_with(name, ".safetensors.index.json")) return as_input(Checkpoint::open(path));
  const auto fits = import_candidates(path);
  if (fits && !fits->empty()) return as_input(read_shared_trace(path));
  if (is_checkpoint_file(path)) return as_input(Checkpoint::open(path));
  if (ends_with(name, ".safetensors")) {
    // The container's own error says more than "not a trace".
    if (const auto container = read_safetensors(path, Truncation::allowed); !container) return fail(container.error());
    return as_input(Checkpoint::open(path));
  }
  const auto trace = read_shared_trace(path);
  return fail(ErrorKind::input, "this file is nothing that MoEScope knows", path.string(),
              looked_for + (trace ? std::string() : trace.error().advice));
}

Expected<std::shared_ptr<const Trace>> open_trace(const fs::path& path) {
  const auto input = open_input(path);
  if (!input) return fail(input.error());
  if (const auto* trace = std::get_if<std::shared_ptr<const Trace>>(&*input)) return *trace;
  if (std::holds_alternative<SessionFile>(*input)) {
    return fail(ErrorKind::input, "this is a session, not a trace", path.string(),
                "moescope-cli session show lists its traces");
  }
  return fail(ErrorKind::input, "this is a checkpoint, not a trace", path.string(),
              "Record a trace first: moescope-cli capture");
}

}  // namespace moescope::cli
