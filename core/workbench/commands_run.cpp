// Commands that run a checkpoint, and the one that stops a job.
#include <fmt/format.h>

#include <system_error>

#include "core/io/output_file.h"
#include "core/model/chat_format.h"
#include "core/trace/trace_file.h"
#include "core/workbench/run_inputs.h"
#include "core/workbench/state.h"

namespace moescope {
namespace {

constexpr std::size_t text_file_limit = std::size_t{1} << 30U;
constexpr std::size_t prompt_title_characters = 32;

std::string cannot_run(const WorkbenchState& state) {
  if (!state.options.engine) return "this program was built without an engine, so it cannot run models";
  const Source* source = state.active(SourceKind::checkpoint);
  if (!source) return "open a checkpoint first";
  return source->checkpoint ? "" : "the checkpoint could not be opened";
}

// A file of its own for the trace of a prompt: beside a saved session, in the settings folder otherwise.
Expected<std::filesystem::path> new_trace_file(const WorkbenchState& state) {
  std::error_code error;
  std::filesystem::path folder = runs_folder(state.session.path());
  if (folder.empty()) folder = std::filesystem::temp_directory_path(error) / "moescope-runs";
  std::filesystem::create_directories(folder, error);
  if (error) {
    return fail(ErrorKind::input, "cannot make the folder for traces: " + error.message(), folder.string(),
                "Save the session where you may write");
  }
  for (int i = 1;; ++i) {
    std::filesystem::path path = folder / fmt::format("run-{:03}.routes.safetensors", i);
    std::filesystem::path part = path;
    part += ".part";
    if (!std::filesystem::exists(path, error) && !std::filesystem::exists(part, error)) return path;
  }
}

std::string short_title(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() <= prompt_title_characters) return line;
  std::size_t end = prompt_title_characters;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;  // not inside a character
  return line.substr(0, end) + "…";
}

struct Run {
  RunRequest request;
  std::string command, prompt, format;
  std::optional<Opened> opened;
};

// Files of a live trace, with what a worker that died left of it.
void remove_live(const std::string& file) {
  std::error_code ignored;
  for (const char* suffix : {"", ".part"}) std::filesystem::remove(file + suffix, ignored);
}

// Shows the trace of a generation whenever the engine has written more of it. Called from the job's thread.
class LiveReader {
 public:
  LiveReader(WorkbenchState& state, const RunRequest& request) : state_(state), request_(request) {}

  void look(const CancelToken& cancel) {
    std::error_code error;
    const auto written = std::filesystem::last_write_time(request_.generate->live_trace, error);
    if (error || written == seen_) return;
    seen_ = written;
    auto read = read_trace(request_.generate->live_trace);
    if (!read) return;  // replaced meanwhile: the next one will do
    read->name = request_.name;
    read->path.clear();
    read->content_hash.clear();  // nothing computed from it is worth keeping
    state_.queue.post(
        [&state = state_, cancel, generation = generation_, trace = std::make_shared<const Trace>(std::move(*read))] {
          if (!cancel.cancelled() && generation == state.generation) state.show_live(trace);
        });
  }

 private:
  WorkbenchState& state_;
  const RunRequest& request_;
  std::int64_t generation_ = state_.generation;
  std::filesystem::file_time_type seen_{};
};

// Starts the job. When it is done, the trace becomes a source and the active one; a run that fails changes nothing.
Expected<nlohmann::json> start(WorkbenchState& state, Run run) {
  auto shared = std::make_shared<Run>(std::move(run));
  const std::string out = shared->request.out;
  const bool generates = shared->request.generate.has_value();
  if (generates) state.live_dismissed = false;
  const auto live = generates ? std::make_shared<LiveReader>(state, shared->request) : nullptr;
  const std::int64_t id =
      state.jobs.start({(generates ? "Generate after " : "Run ") + shared->request.name, "", JobLane::serial,
                        [shared, live, engine = state.options.engine](const WorkContext& given) -> Expected<void> {
                          WorkContext work = given;
                          if (live) {
                            work.on_progress = [&given, live](const ProgressReport& report) {
                              live->look(given.cancel);
                              if (given.on_progress) given.on_progress(report);
                            };
                          }
                          const auto summary = engine->run(shared->request, work);
                          if (live) remove_live(shared->request.generate->live_trace);
                          if (!summary) return fail(summary.error());
                          auto opened = open_path(summary->trace_file);
                          if (!opened) return fail(opened.error());
                          shared->opened = std::move(*opened);
                          return {};
                        },
                        [&state, shared, generation = state.generation](const Expected<void>& outcome) {
                          if (generation != state.generation) return;
                          if (!outcome) {
                            state.end_live();
                            if (outcome.error().kind != ErrorKind::cancelled) state.show_error(outcome.error());
                            return;
                          }
                          std::vector<Edit> more;
                          if (!shared->prompt.empty()) {
                            more.push_back(set_edit("prompt", std::to_string(state.session.new_id()),
                                                    {{"text", shared->prompt}, {"format", shared->format}}));
                          }
                          state.live.reset();  // its place is taken by the whole trace
                          const auto adopted =
                              adopt(state, std::move(*shared->opened), shared->command, std::move(more));
                          if (!adopted) state.show_error(adopted.error());
                        }});
  return nlohmann::json{{"job", id}, {"out", out}};
}

// A prompt as the run of it: its one sequence, a file for the trace, its name.
Expected<Run> prompt_run(WorkbenchState& state, const nlohmann::json& arguments, std::string command) {
  const auto text = text_argument(arguments, "text");
  if (!text) return fail(text.error());
  Run run;
  run.command = std::move(command);
  run.prompt = *text;
  run.format = arguments.value("format", "raw");
  const auto whole = wrap(run.format, *text);
  if (!whole) return fail(whole.error());
  const bool special = find_chat_format(run.format)->tokenizer_template;
  const Checkpoint& checkpoint = *state.active(SourceKind::checkpoint)->checkpoint;
  auto sequences = sequences_from_text(checkpoint, *whole, special, checkpoint.spec().max_positions);
  if (!sequences) return fail(sequences.error());
  const auto out = new_trace_file(state);
  if (!out) return fail(out.error());
  run.request.checkpoint = checkpoint.folder().string();
  run.request.sequences = std::move(*sequences);
  run.request.record.router_logits = true;  // a prompt is short, and entropy views want them
  run.request.out = out->string();
  run.request.name = "“" + short_title(*text) + "”";
  run.request.source = "prompt, format " + run.format;
  return run;
}

Expected<nlohmann::json> run_prompt(WorkbenchState& state, const nlohmann::json& arguments) {
  auto run = prompt_run(state, arguments, "run.prompt");
  if (!run) return fail(run.error());
  return start(state, std::move(*run));
}

// Most tokens that one generation makes; each is a pass through the model.
constexpr std::int64_t generated_limit = 100'000;

Expected<GenerateOptions> generate_options(const nlohmann::json& arguments) {
  GenerateOptions out;
  const auto number = [&](const char* name, double fallback, double low, double high) -> Expected<double> {
    const auto found = arguments.find(name);
    if (found == arguments.end() || found->is_null()) return fallback;
    if (found->is_number() && found->get<double>() >= low && found->get<double>() <= high) return found->get<double>();
    return fail(ErrorKind::usage, fmt::format("`{}` must be a number from {} to {}", name, low, high),
                found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  };
  const auto tokens = number("max_tokens", 64, 1, static_cast<double>(generated_limit));
  const auto temperature = number("temperature", 0, 0, 100);
  const auto top_p = number("top_p", 1, 1e-9, 1);
  const auto seed = number("seed", 1, 0, 9e15);
  for (const auto* one : {&tokens, &temperature, &top_p, &seed}) {
    if (!*one) return fail(one->error());
  }
  out.max_tokens = static_cast<std::size_t>(*tokens);
  out.temperature = *temperature;
  out.top_p = *top_p;
  out.seed = static_cast<std::uint64_t>(*seed);
  return out;
}

Expected<nlohmann::json> run_generate(WorkbenchState& state, const nlohmann::json& arguments) {
  auto options = generate_options(arguments);
  if (!options) return fail(options.error());
  auto run = prompt_run(state, arguments, "run.generate");
  if (!run) return fail(run.error());
  const ModelSpec& spec = state.active(SourceKind::checkpoint)->checkpoint->spec();
  if (run->request.sequences.size() > 1) {
    return fail(ErrorKind::usage, fmt::format("the prompt is longer than the model's {} positions", spec.max_positions),
                "text", "Shorten it");
  }
  if (!arguments.value("keep_going", false)) options->stop = spec.end_tokens;
  options->live_trace = run->request.out + ".live";
  run->request.source += fmt::format(", generated with temperature {}, top-p {}, seed {}", options->temperature,
                                     options->top_p, options->seed);
  run->request.generate = std::move(*options);
  return start(state, std::move(*run));
}

struct CaptureInput {
  std::vector<SequenceInput> sequences;
  std::string name, source;
};

// Exactly one of text_file, jsonl, prompt and ids says what is run.
Expected<CaptureInput> capture_input(const Checkpoint& checkpoint, const nlohmann::json& arguments) {
  const auto longest = arguments.value("sequence_tokens", std::size_t{0});
  CaptureInput input;
  Expected<std::vector<SequenceInput>> sequences =
      fail(ErrorKind::usage, "say what to run with exactly one of text_file, jsonl, prompt and ids");
  int given = 0;
  for (const char* kind : {"text_file", "jsonl", "prompt", "ids"}) {
    if (!arguments.contains(kind)) continue;
    if (++given > 1) return fail(ErrorKind::usage, "only one of text_file, jsonl, prompt and ids can be run");
    const auto value = text_argument(arguments, kind);
    if (!value) return fail(value.error());
    const std::string which = kind;
    if (which == "prompt") {
      sequences = sequences_from_text(checkpoint, *value, true, longest);
      input.name = "“" + short_title(*value) + "”";
      input.source = "prompt";
    } else if (which == "ids") {
      sequences = sequences_from_ids(checkpoint, *value);
      input.name = input.source = "token ids";
    } else {
      const auto content = read_whole_file(*value, text_file_limit);
      if (!content) return fail(content.error());
      sequences = which == "jsonl" ? sequences_from_jsonl(checkpoint, *content, *value, longest)
                                   : sequences_from_text(checkpoint, *content, true, longest);
      input.name = std::filesystem::path(*value).filename().string();
      input.source = *value;
    }
  }
  if (!sequences) return fail(sequences.error());
  input.sequences = std::move(*sequences);
  return input;
}

Expected<nlohmann::json> run_capture(WorkbenchState& state, const nlohmann::json& arguments) {
  const Checkpoint& checkpoint = *state.active(SourceKind::checkpoint)->checkpoint;
  auto input = capture_input(checkpoint, arguments);
  if (!input) return fail(input.error());
  const std::string out = arguments.value("out", "");
  const auto path =
      out.empty() ? new_trace_file(state) : Expected<std::filesystem::path>(std::filesystem::absolute(out));
  if (!path) return fail(path.error());
  // The rest of the request has the names that a request has as JSON: record options, hooks, device, compute type.
  nlohmann::json request = to_json(RunRequest{});
  for (const char* name : {"record", "hooks", "device", "compute_type", "threads"}) {
    if (!arguments.contains(name)) continue;
    if (arguments[name].is_object()) {
      request[name].update(arguments[name]);
    } else {
      request[name] = arguments[name];
    }
  }
  auto parsed = run_request_from_json(request);
  if (!parsed) return fail(parsed.error());
  Run run;
  run.command = "run.capture";
  run.request = std::move(*parsed);
  run.request.checkpoint = checkpoint.folder().string();
  run.request.sequences = std::move(input->sequences);
  run.request.out = path->string();
  run.request.name = arguments.value("name", input->name);
  run.request.source = input->source;
  return start(state, std::move(run));
}

Expected<nlohmann::json> cancel_job(WorkbenchState& state, const nlohmann::json& arguments) {
  if (!arguments.contains("id")) {
    state.jobs.cancel_all();
    return nlohmann::json::object();
  }
  const auto id = id_argument(arguments, "id");
  if (!id) return fail(id.error());
  if (!state.jobs.cancel(*id)) return fail(ErrorKind::usage, fmt::format("job {} is not running", *id));
  return nlohmann::json::object();
}

}  // namespace

void add_run_commands(WorkbenchState& state) {
  const auto needs = [&state] { return cannot_run(state); };
  add_command(state, {"run.prompt",
                      "Run prompt",
                      "Runs a text through the checkpoint and opens its trace.",
                      "Run",
                      "Ctrl+R",
                      "media-playback-start",
                      {{"text", "the prompt"}, {"format", "chat format; \"raw\" when it is left out"}},
                      needs,
                      [&state](const nlohmann::json& a) { return run_prompt(state, a); }});
  add_command(state, {"run.generate",
                      "Generate",
                      "Continues a text token by token and shows how each is routed while it runs.",
                      "Run",
                      "Ctrl+Alt+R",
                      "media-seek-forward",
                      {{"text", "the prompt"},
                       {"format", "chat format; \"raw\" when it is left out"},
                       {"max_tokens", "most tokens to generate, 64"},
                       {"temperature", "0 = always the most likely token"},
                       {"top_p", "draw among the most likely tokens that together have this probability, 1"},
                       {"seed", "the same seed draws the same tokens, 1"},
                       {"keep_going", "true to go on after the model's end of text"}},
                      needs,
                      [&state](const nlohmann::json& a) { return run_generate(state, a); }});
  add_command(state, {"run.capture",
                      "Capture a trace…",
                      "Runs a file of text through the checkpoint and records it.",
                      "Run",
                      "Ctrl+Shift+R",
                      "media-record",
                      {{"text_file", "plain text file"},
                       {"jsonl", "file with one {\"text\": …, tags} per line"},
                       {"prompt", "text"},
                       {"ids", "\"1,2,3\""},
                       {"out", "trace file to write"},
                       {"name", "name of the trace"},
                       {"sequence_tokens", "longest sequence"},
                       {"record", "what to store"},
                       {"hooks", "changes to the model"},
                       {"device", "auto, cpu or cuda"},
                       {"compute_type", "float32 or bfloat16"},
                       {"threads", "0 = all cores"}},
                      needs,
                      [&state](const nlohmann::json& a) { return run_capture(state, a); }});
  add_command(state, {"job.cancel",
                      "Stop",
                      "Stops a job, or all of them.",
                      "Run",
                      "Ctrl+.",
                      "process-stop",
                      {{"id", "job; without, all"}},
                      {},
                      [&state](const nlohmann::json& a) { return cancel_job(state, a); }});
}

}  // namespace moescope
