// capture-server: sends prompts to a running SGLang or vLLM and makes a trace of the experts it reports.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "core/engine/serving.h"
#include "core/io/output_file.h"
#include "core/trace/import/importer.h"
#include "core/workbench/model_join.h"

namespace moescope::cli {
namespace {

struct ServerArguments {
  std::string prompts, prompt, server = "auto", model, responses;
  std::uint32_t k = 0, layers = 0;
  ServingRequest request;
  std::string out;
  bool json = false, force = false;
};

Expected<std::vector<ServingPrompt>> read_prompts(const ServerArguments& arguments) {
  if (!arguments.prompt.empty()) return std::vector<ServingPrompt>{{arguments.prompt, {}}};
  const auto text = read_whole_file(arguments.prompts, text_limit);
  if (!text) return fail(text.error());
  return serving_prompts_from_jsonl(*text, arguments.prompts);
}

void tell(const ServingReport& report, const ImportReport& imported, const ServerArguments& arguments) {
  note(fmt::format("{}: {} responses of {}, {} routers, {} tokens", arguments.out, with_commas(report.kept),
                   report.server, imported.rows, with_commas(imported.tokens)));
  for (const std::string& line : imported.notes) note("  " + line);
  for (const std::string& line : report.notes) note("  " + line);
  for (const ServingFailure& failure : report.failures) {
    note(fmt::format("  prompt {} failed: {}", failure.prompt, failure.error.text()));
  }
}

Expected<void> run_capture_server(const ServerArguments& arguments) {
  if (auto free = check_output(arguments.out, arguments.force); !free) return free;
  ServingRequest request = arguments.request;
  auto prompts = read_prompts(arguments);
  if (!prompts) return fail(prompts.error());
  request.prompts = std::move(*prompts);
  request.server = arguments.server == "sglang" ? ServerKind::sglang
                   : arguments.server == "vllm" ? ServerKind::vllm
                                                : ServerKind::automatic;
  request.out = arguments.responses.empty() ? arguments.out + ".responses.jsonl" : arguments.responses;
  ImportOptions options;
  options.format = "routed-experts";
  options.k = arguments.k;
  options.layers = arguments.layers;
  if (!arguments.model.empty()) {
    if (auto joined = join_model(arguments.model, options); !joined) return joined;
  }
  const auto client = load_serving_client();
  if (!client) return fail(client.error());
  const auto report = [&] {
    const ProgressBar bar("Capture");
    return (*client)->capture(request, bar.work());
  }();
  if (!report) return fail(report.error());
  // What the server said is kept when no trace can be made of it.
  const auto imported = import_to_file({request.out}, arguments.out, options);
  if (!imported) {
    Error error = imported.error();
    error.advice += fmt::format(". The responses are kept in {}", request.out);
    return fail(std::move(error));
  }
  std::error_code ignored;
  if (arguments.responses.empty()) std::filesystem::remove(request.out, ignored);
  tell(*report, *imported, arguments);
  if (arguments.json) {
    nlohmann::json failures = nlohmann::json::array();
    for (const ServingFailure& f : report->failures)
      failures.push_back({{"prompt", f.prompt}, {"error", f.error.text()}});
    if (auto ok = print_json({{"out", arguments.out},
                              {"server", report->server},
                              {"kept", report->kept},
                              {"failures", failures},
                              {"rows", imported->rows},
                              {"tokens", imported->tokens},
                              {"notes", imported->notes}});
        !ok) {
      return ok;
    }
  }
  if (report->failures.empty()) return {};
  return fail(ErrorKind::partial,
              fmt::format("{} of {} prompts failed", report->failures.size(), request.prompts.size()), request.url,
              "The others are in the trace");
}

}  // namespace

void add_capture_server(CLI::App& app, Chosen& chosen) {
  const auto arguments = std::make_shared<ServerArguments>();
  CLI::App* command =
      app.add_subcommand("capture-server", "Send prompts to a running SGLang or vLLM and record the experts it used");
  command->add_option("url", arguments->request.url, "Address of the server: http://HOST:PORT")->required();
  auto* input = command->add_option_group("input", "What to send, one of:");
  input->add_option("--prompts", arguments->prompts,
                    "File of lines {\"text\": …, \"domain\": …}; other keys become tags");
  input->add_option("--prompt", arguments->prompt, "A text");
  input->require_option(1);
  command->add_option("--out", arguments->out, "Trace file to write, T.routes.safetensors; must not exist yet")
      ->required();
  command->add_flag("--force", arguments->force, "Replace the file of --out if it exists");
  command->add_option("--model", arguments->model,
                      "Checkpoint folder or config.json of the served model; SGLang's answers need it to be read");
  command->add_option("--server", arguments->server, "Which server it is")
      ->check(CLI::IsMember({"auto", "sglang", "vllm"}))
      ->capture_default_str();
  command->add_option("--served-model", arguments->request.model,
                      "Name of the model on a vLLM server that serves several");
  command->add_option("--concurrency", arguments->request.concurrency, "Prompts sent at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--new-tokens", arguments->request.new_tokens, "Tokens generated for each prompt")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--timeout", arguments->request.timeout_seconds, "Seconds to wait for a response")
      ->check(CLI::Range(1.0, 86'400.0))
      ->capture_default_str();
  command->add_option("--top-k", arguments->k, "Experts per token, where no model is given")->check(CLI::Range(1, 249));
  command->add_option("--layers", arguments->layers, "Layers, where no model is given")->check(CLI::Range(1, 100'000));
  command->add_option("--responses", arguments->responses, "Keep the server's responses in this file, as JSON lines");
  command->add_flag("--recorder", arguments->request.recorder, "Also run SGLang's expert distribution recorder");
  command->add_flag("--json", arguments->json, "Print what became of it as JSON");
  command->footer("A key for the server comes from the environment variable MOESCOPE_API_KEY and is never stored.");
  command->callback([arguments, &chosen] { chosen.run = [arguments] { return run_capture_server(*arguments); }; });
}

}  // namespace moescope::cli
