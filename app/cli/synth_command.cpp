// synth: things made from nothing, for tests and benchmarks.
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "core/model/synth.h"
#include "core/trace/synth_trace.h"

namespace moescope::cli {
namespace {

struct SynthCommandOptions {
  SynthOptions synth;
  std::string out, dtype = "bfloat16", tokenizer;
  double shard_megabytes = 0;
};

Expected<void> run_synth_checkpoint(const SynthCommandOptions& given) {
  SynthOptions options = given.synth;
  options.type = given.dtype == "float32" ? DType::f32 : DType::bf16;
  options.tokenizer = given.tokenizer;
  options.shard_bytes = static_cast<std::uint64_t>(given.shard_megabytes * 1e6);
  const ProgressBar bar("Random checkpoint");
  const auto made = write_random_checkpoint(options, given.out, bar.work());
  if (!made) return fail(made.error());
  note(fmt::format("{}: {} parameters, {} in {} file{}", given.out, with_commas(made->parameters),
                   byte_words(made->bytes), made->files, made->files == 1 ? "" : "s"));
  return {};
}

struct SynthTraceCommandOptions {
  SynthTraceOptions synth;
  std::string out;
};

Expected<void> run_synth_trace(const SynthTraceCommandOptions& options) {
  const ProgressBar bar("Random trace");
  if (auto done = write_synth_trace(options.synth, options.out, bar.work()); !done) return done;
  std::error_code ignored;
  const auto bytes = std::filesystem::file_size(options.out, ignored);
  note(fmt::format("{}: {} tokens, {} layers of {} experts, {} per token, {}", options.out,
                   with_commas(options.synth.tokens), options.synth.layers, options.synth.experts, options.synth.k,
                   byte_words(ignored ? 0 : bytes)));
  return {};
}

void add_synth_trace(CLI::App& synth, Chosen& chosen) {
  const auto options = std::make_shared<SynthTraceCommandOptions>();
  SynthTraceOptions& o = options->synth;
  CLI::App* command = synth.add_subcommand("trace", "A structured random trace, written as a stream");
  command->add_option("--out", options->out, "File to write, NAME.routes.safetensors")->required();
  command->add_option("--tokens", o.tokens, "Tokens")->capture_default_str();
  command->add_option("--layers", o.layers, "Router rows")->capture_default_str();
  command->add_option("--experts", o.experts, "Experts per layer")->capture_default_str();
  command->add_option("--k,--experts-per-token", o.k, "Experts chosen per token")->capture_default_str();
  command->add_option("--sequence-length", o.sequence_length, "Tokens of a sequence")->capture_default_str();
  command->add_option("--vocabulary", o.vocabulary, "Token ids")->capture_default_str();
  command->add_option("--domains", o.domains, "Values of the tag domain, one for each sequence")->capture_default_str();
  command->add_option("--zipf", o.zipf, "The i-th most popular expert is chosen as 1 / i^zipf")->capture_default_str();
  command->add_option("--markov", o.markov, "Part of the slots that follow the row before")->capture_default_str();
  command->add_option("--by-token", o.by_token, "Part of the slots that the token id decides")->capture_default_str();
  command->add_option("--by-domain", o.by_domain, "Part of the slots that the domain decides")->capture_default_str();
  command->add_option("--seed", o.seed, "The same seed gives the same trace on every machine")->capture_default_str();
  command->callback([options, &chosen] { chosen.run = [options] { return run_synth_trace(*options); }; });
}

}  // namespace

void add_synth(CLI::App& app, Chosen& chosen) {
  CLI::App* synth = app.add_subcommand("synth", "Make random checkpoints and traces, for tests and benchmarks");
  synth->require_subcommand(1);
  add_synth_trace(*synth, chosen);
  const auto options = std::make_shared<SynthCommandOptions>();
  SynthOptions& o = options->synth;
  CLI::App* command =
      synth->add_subcommand("checkpoint", "A checkpoint with random weights in the Hugging Face layout");
  command->add_option("--out", options->out, "Folder to write")->required();
  command->add_option("--family", o.family, "Model family")->capture_default_str();
  command->add_option("--layers", o.layers, "Layers")->capture_default_str();
  command->add_option("--experts", o.experts, "Experts per layer")->capture_default_str();
  command->add_option("--k,--experts-per-token", o.k, "Experts chosen per token")->capture_default_str();
  command->add_option("--hidden", o.hidden, "Hidden size")->capture_default_str();
  command->add_option("--intermediate", o.intermediate, "Width of an expert")->capture_default_str();
  command->add_option("--heads", o.heads, "Attention heads")->capture_default_str();
  command->add_option("--kv-heads", o.kv_heads, "Key-value heads; 0 = as many as heads")->capture_default_str();
  command->add_option("--vocabulary", o.vocabulary, "Tokens in the vocabulary")->capture_default_str();
  command->add_option("--positions", o.max_positions, "Longest sequence")->capture_default_str();
  command->add_flag("--renormalise", o.renormalise, "Divide the chosen weights by their sum");
  command->add_flag("--tied", o.tied_embeddings, "Output layer shared with the embedding");
  command->add_option("--dtype", options->dtype, "Type of the weights")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--seed", o.seed, "The same seed gives the same weights on every machine")->capture_default_str();
  command->add_option("--shard-mb", options->shard_megabytes, "Start a new file at this size; 0 = one file")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--tokenizer", options->tokenizer, "A tokenizer.json to copy into the folder");
  command->callback([options, &chosen] { chosen.run = [options] { return run_synth_checkpoint(*options); }; });
}

}  // namespace moescope::cli
