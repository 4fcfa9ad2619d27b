// generate: continue a prompt and record how prompt and generated tokens are routed.
#include <fmt/format.h>

#include <filesystem>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "core/engine/engine.h"
#include "core/model/chat_format.h"
#include "core/model/checkpoint.h"
#include "core/workbench/run_inputs.h"

namespace moescope::cli {
namespace {

struct Options {
  std::string checkpoint, prompt, ids, format = "raw", out, dtype = "float32", device = "auto";
  GenerateOptions generate;
  double memory_gb = 0;
  bool keep_going = false, json = false, force = false;
};

Expected<std::vector<SequenceInput>> read_prompt(const Checkpoint& checkpoint, const Options& options) {
  if (!options.ids.empty()) return sequences_from_ids(checkpoint, options.ids);
  const auto text = wrap(options.format, options.prompt);
  if (!text) return fail(text.error());
  // One sequence whatever its length: generation goes on from its end.
  return sequences_from_text(checkpoint, *text, find_chat_format(options.format)->tokenizer_template,
                             checkpoint.spec().max_positions);
}

Expected<void> run_generate(const Options& options) {
  std::error_code error;
  if (!options.force && std::filesystem::exists(options.out, error)) {
    return fail(ErrorKind::usage, "the file to write exists already", options.out,
                "Choose another name, or add --force to replace it");
  }
  const auto checkpoint = Checkpoint::open(options.checkpoint);
  if (!checkpoint) return fail(checkpoint.error());
  auto sequences = read_prompt(**checkpoint, options);
  if (!sequences) return fail(std::move(sequences.error()));
  if (sequences->size() > 1) {
    return fail(ErrorKind::usage,
                fmt::format("the prompt is longer than the model's {} positions", (*checkpoint)->spec().max_positions),
                "--prompt", "Shorten it");
  }
  RunRequest request;
  request.checkpoint = (*checkpoint)->folder().string();
  request.sequences = std::move(*sequences);
  request.compute_type = options.dtype == "bfloat16" ? ComputeType::bfloat16 : ComputeType::float32;
  request.device = options.device == "cpu" ? Device::cpu : options.device == "cuda" ? Device::cuda : Device::automatic;
  request.memory_limit = static_cast<std::uint64_t>(options.memory_gb * 1e9);
  request.generate = options.generate;
  if (!options.keep_going) request.generate->stop = (*checkpoint)->spec().end_tokens;
  request.out = options.out;
  request.name = "generation";
  request.source = "prompt, format " + options.format;
  const auto engine = load_engine_module();
  if (!engine) return fail(engine.error());
  const auto summary = [&] {
    const ProgressBar bar("Generate");
    return (*engine)->run(request, bar.work());
  }();
  if (!summary) return fail(summary.error());
  note(fmt::format("{}: {} tokens, {} of them generated, {:.1f} s on {} in {}", summary->trace_file,
                   with_commas(summary->tokens), with_commas(summary->generated.at(0).size()), summary->seconds,
                   summary->device, summary->compute_type));
  if (options.json) return print_json(to_json(*summary));
  const Tokenizer* tokenizer = (*checkpoint)->tokenizer();
  if (tokenizer) return print(tokenizer->decode(summary->generated.at(0), true) + "\n");
  return print(fmt::format("{}\n", fmt::join(summary->generated.at(0), ",")));
}

}  // namespace

void add_generate(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("generate", "Continue a prompt and record how its tokens and the generated ones are routed");
  command->add_option("checkpoint", options->checkpoint, "Checkpoint folder")->required();
  auto* input = command->add_option_group("input", "What to continue, one of:");
  input->add_option("--prompt", options->prompt, "A text");
  input->add_option("--ids", options->ids, "Token ids: 1,2,3");
  input->require_option(1);
  command->add_option("--out", options->out, "Trace file to write, T.routes.safetensors; must not exist yet")
      ->required();
  command->add_flag("--force", options->force, "Replace the file of --out if it exists");
  command->add_option("--format", options->format, "Chat format of --prompt: raw, chatml, llama2, llama3, olmo, tulu")
      ->capture_default_str();
  command->add_option("--max-tokens", options->generate.max_tokens, "Most tokens to generate")->capture_default_str();
  command->add_option("--temperature", options->generate.temperature, "0 = always the most likely token")
      ->capture_default_str();
  command->add_option("--top-p", options->generate.top_p, "Draw among the most likely tokens with this probability")
      ->capture_default_str();
  command->add_option("--seed", options->generate.seed, "The same seed draws the same tokens")->capture_default_str();
  command->add_flag("--keep-going", options->keep_going, "Do not stop at the model's end of text");
  command->add_option("--dtype", options->dtype, "Type that is computed in")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--device", options->device, "Where to run")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--memory-limit", options->memory_gb, "Gigabytes that weights may take; 0 = what is free")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print the summary as JSON, with the generated ids");
  command->callback([options, &chosen] { chosen.run = [options] { return run_generate(*options); }; });
}

}  // namespace moescope::cli
