#include "app/cli/run_options.h"

#include "app/cli/console.h"

namespace moescope::cli {

CLI::Option_group* add_input_options(CLI::App& command, RunOptions& options, const std::string& title) {
  command.add_option("checkpoint", options.checkpoint, "Checkpoint folder")->required();
  CLI::Option_group* input = command.add_option_group("input", title);
  input->add_option("--prompt", options.prompt, "A text");
  input->add_option("--ids", options.ids, "Token ids: 1,2,3");
  input->require_option(1);
  return input;
}

void add_engine_options(CLI::App& command, RunOptions& options) {
  command.add_option("--out", options.out, "Trace file to write, T.routes.safetensors; must not exist yet")->required();
  command.add_flag("--force", options.force, "Replace the file of --out if it exists");
  command.add_option("--format", options.format, "Chat format of --prompt: raw, chatml, llama2, llama3, olmo, tulu")
      ->capture_default_str();
  command.add_option("--dtype", options.dtype, "Type that is computed in; it changes routes")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command.add_option("--device", options.device, "Where to run")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command
      .add_option("--memory-limit", options.memory_gb,
                  "Gigabytes that weights may take beside the mapped files; a larger model is streamed; 0 = what is "
                  "free")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print the summary as JSON, with the generated ids");
}

RunRequest request_of(const Checkpoint& checkpoint, const RunOptions& options) {
  RunRequest request;
  request.checkpoint = checkpoint.folder().string();
  request.compute_type = options.dtype == "bfloat16" ? ComputeType::bfloat16 : ComputeType::float32;
  request.device = options.device == "cpu" ? Device::cpu : options.device == "cuda" ? Device::cuda : Device::automatic;
  request.memory_limit = static_cast<std::uint64_t>(options.memory_gb * 1e9);
  request.out = options.out;
  return request;
}

Expected<RunSummary> run_request(const RunRequest& request, const std::string& title) {
  const auto engine = load_engine_module();
  if (!engine) return fail(engine.error());
  const ProgressBar bar(title);
  return (*engine)->run(request, bar.work());
}

}  // namespace moescope::cli
