// generate: continue a prompt and record how prompt and generated tokens are routed.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run_options.h"
#include "core/model/chat_format.h"
#include "core/model/checkpoint.h"
#include "core/workbench/run_inputs.h"

namespace moescope::cli {
namespace {

struct ContinueOptions : RunOptions {
  GenerateOptions generate;
  bool keep_going = false;
};

Expected<std::vector<SequenceInput>> read_prompt(const Checkpoint& checkpoint, const ContinueOptions& options) {
  if (!options.ids.empty()) return sequences_from_ids(checkpoint, options.ids);
  const auto text = wrap(options.format, options.prompt);
  if (!text) return fail(text.error());
  // One sequence whatever its length: generation goes on from its end.
  return sequences_from_text(checkpoint, *text, find_chat_format(options.format)->tokenizer_template,
                             checkpoint.spec().max_positions);
}

Expected<void> run_generate(const ContinueOptions& options) {
  if (auto free = check_output(options.out, options.force); !free) return free;
  const auto checkpoint = Checkpoint::open(options.checkpoint);
  if (!checkpoint) return fail(checkpoint.error());
  auto sequences = read_prompt(**checkpoint, options);
  if (!sequences) return fail(std::move(sequences.error()));
  if (sequences->size() > 1) {
    return fail(ErrorKind::usage,
                fmt::format("the prompt is longer than the model's {} positions", (*checkpoint)->spec().max_positions),
                "--prompt", "Shorten it");
  }
  RunRequest request = request_of(**checkpoint, options);
  request.sequences = std::move(*sequences);
  request.generate = options.generate;
  if (!options.keep_going) request.generate->stop = (*checkpoint)->spec().end_tokens;
  request.name = "generation";
  request.source = options.ids.empty() ? "prompt, format " + options.format : "token ids";
  const auto summary = run_request(request, "Generate");
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
  const auto options = std::make_shared<ContinueOptions>();
  CLI::App* command =
      app.add_subcommand("generate", "Continue a prompt and record how its tokens and the generated ones are routed");
  add_input_options(*command, *options, "What to continue, one of:");
  add_engine_options(*command, *options);
  command->add_option("--max-tokens", options->generate.max_tokens, "Most tokens to generate")->capture_default_str();
  command->add_option("--temperature", options->generate.temperature, "0 = always the most likely token")
      ->capture_default_str();
  command->add_option("--top-p", options->generate.top_p, "Draw among the most likely tokens with this probability")
      ->capture_default_str();
  command->add_option("--seed", options->generate.seed, "The same seed draws the same tokens")->capture_default_str();
  command->add_flag("--keep-going", options->keep_going, "Do not stop at the model's end of text");
  command->callback([options, &chosen] { chosen.run = [options] { return run_generate(*options); }; });
}

}  // namespace moescope::cli
