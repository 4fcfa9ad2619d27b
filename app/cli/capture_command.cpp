// capture: runs a checkpoint on text and records its routing as a trace file.
#include <fmt/format.h>

#include <cmath>

#include "app/cli/commands.h"
#include "app/cli/console.h"
#include "app/cli/run_options.h"
#include "app/cli/torchscript.h"
#include "core/io/json_text.h"
#include "core/io/output_file.h"
#include "core/model/chat_format.h"
#include "core/model/checkpoint.h"
#include "core/workbench/run_inputs.h"

namespace moescope::cli {
namespace {

struct CaptureOptions : RunOptions {
  std::string text, jsonl, hooks, name, decoder_ids, decoder_text;
  RecordOptions record;
  bool no_gate_weights = false, no_loss = false;
  std::size_t sequence_length = default_sequence_tokens, max_tokens = 0;
  int threads = 0;
  bool torchscript = false;
  std::vector<std::string> routers;
  std::uint32_t experts_per_token = 0;
  double seconds = 600;
};

struct TextInput {
  std::vector<SequenceInput> sequences;
  std::string name, source;
};

Expected<TextInput> read_input(const Checkpoint& checkpoint, const CaptureOptions& options) {
  TextInput input;
  Expected<std::vector<SequenceInput>> sequences = fail(ErrorKind::internal, "no input was chosen");
  if (!options.ids.empty()) {
    sequences = sequences_from_ids(checkpoint, options.ids);
    input.name = input.source = "token ids";
  } else if (!options.prompt.empty()) {
    const auto wrapped = wrap(options.format, options.prompt);
    if (!wrapped) return fail(wrapped.error());
    sequences = sequences_from_text(checkpoint, *wrapped, find_chat_format(options.format)->tokenizer_template,
                                    options.sequence_length);
    input.name = "prompt";
    input.source = "prompt, format " + options.format;
  } else {
    const std::string& file = options.text.empty() ? options.jsonl : options.text;
    const auto content = read_whole_file(file, text_limit);
    if (!content) return fail(content.error());
    sequences = options.text.empty() ? sequences_from_jsonl(checkpoint, *content, file, options.sequence_length)
                                     : sequences_from_text(checkpoint, *content, true, options.sequence_length);
    input.name = std::filesystem::path(file).filename().string();
    input.source = file;
  }
  if (!sequences) return fail(std::move(sequences.error()));
  input.sequences = std::move(*sequences);
  std::vector<std::int32_t> decoder_ids;
  if (!options.decoder_ids.empty()) {
    auto parsed = sequences_from_ids(checkpoint, options.decoder_ids);
    if (!parsed) return fail(std::move(parsed.error()));
    decoder_ids = std::move(parsed->front().ids);
  }
  auto decoder = add_decoder_input(checkpoint, std::move(decoder_ids), options.decoder_text, input.sequences);
  if (!decoder) return fail(std::move(decoder.error()));
  return input;
}

// Keeps whole sequences up to `most` tokens, and cuts the one that goes over.
void limit_tokens(std::vector<SequenceInput>& sequences, std::size_t most) {
  if (most == 0) return;
  std::size_t total = 0;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    SequenceInput& sequence = sequences[i];
    if (total + sequence.ids.size() >= most) {
      sequence.ids.resize(most - total);
      if (sequence.spans.size() > sequence.ids.size()) sequence.spans.resize(sequence.ids.size());
      sequences.resize(i + 1);
      return;
    }
    total += sequence.ids.size();
  }
}

Expected<std::vector<Hook>> read_hooks(const std::string& file) {
  if (file.empty()) return std::vector<Hook>{};
  const auto text = read_whole_file(file, json_bytes_limit);
  if (!text) return fail(text.error());
  const auto hooks = parse_json(*text, file);
  if (!hooks) return fail(hooks.error());
  // Hooks are read where requests are, so that a script and a file mean the same.
  nlohmann::json request = to_json(RunRequest{});
  request["hooks"] = *hooks;
  auto parsed = run_request_from_json(request);
  if (!parsed) {
    Error error = std::move(parsed.error());
    error.where = error.where.empty() ? file : file + ", " + error.where;
    return fail(std::move(error));
  }
  return std::move(parsed->hooks);
}

std::size_t token_count(const std::vector<SequenceInput>& sequences) {
  std::size_t n = 0;
  for (const SequenceInput& sequence : sequences) n += sequence.ids.size() + sequence.decoder_ids.size();
  return n;
}

// What will be stored per token, said before anything runs.
std::string announcement(const Checkpoint& checkpoint, const RunRequest& request) {
  std::size_t rows = 0, k = 0, experts = 0;
  for (const LayerSpec& layer : checkpoint.spec().layers) {
    if (layer.kind != LayerKind::moe) continue;
    ++rows;
    k = std::max<std::size_t>(k, layer.k);
    experts = std::max<std::size_t>(experts, layer.experts);
  }
  const RecordOptions& record = request.record;
  std::vector<std::string> parts{fmt::format("{} expert ids", rows * k)};
  if (record.gate_weights) parts.push_back(fmt::format("{} gate weights", rows * k));
  if (record.router_logits) parts.push_back(fmt::format("{} router logits", rows * experts));
  if (record.expert_output_norms) parts.push_back(fmt::format("{} norms of expert outputs", rows * k));
  if (record.output_logits) parts.push_back(fmt::format("{} output logits", checkpoint.spec().vocabulary));
  if (record.token_loss) parts.emplace_back("its loss");
  const std::size_t tokens = token_count(request.sequences);
  const std::uint64_t each = record.bytes_per_token(rows, k, experts, checkpoint.spec().vocabulary);
  return fmt::format("Recording per token: {}; {} per token, about {} for {} tokens in {} sequence{}", joined(parts),
                     byte_words(each), byte_words(each * tokens), with_commas(tokens),
                     with_commas(request.sequences.size()), request.sequences.size() == 1 ? "" : "s");
}

Expected<RunRequest> make_request(const Checkpoint& checkpoint, const CaptureOptions& options) {
  auto input = read_input(checkpoint, options);
  if (!input) return fail(std::move(input.error()));
  limit_tokens(input->sequences, options.max_tokens);
  auto hooks = read_hooks(options.hooks);
  if (!hooks) return fail(std::move(hooks.error()));
  RunRequest request = request_of(checkpoint, options);
  request.sequences = std::move(input->sequences);
  request.threads = options.threads;
  request.record = options.record;
  request.record.gate_weights = !options.no_gate_weights;
  request.record.token_loss = !options.no_loss;
  request.hooks = std::move(*hooks);
  request.name = options.name.empty() ? input->name : options.name;
  request.source = input->source;
  return request;
}

void tell(const RunSummary& summary) {
  const double rate = summary.seconds > 0 ? static_cast<double>(summary.tokens) / summary.seconds : 0;
  note(fmt::format("{}: {} tokens in {} sequence{}, {:.1f} s ({:.0f} tokens/s) on {} in {}, peak memory {}",
                   summary.trace_file, with_commas(summary.tokens), with_commas(summary.sequences),
                   summary.sequences == 1 ? "" : "s", summary.seconds, rate, summary.device, summary.compute_type,
                   byte_words(summary.peak_bytes)));
  if (std::isfinite(summary.mean_loss)) {
    note(fmt::format("Mean loss {:.4f} nats, perplexity {:.2f}", summary.mean_loss, std::exp(summary.mean_loss)));
  }
  for (const std::string& line : summary.notes) note(line);
}

// A module instead of a checkpoint: ids in, what its routers chose out.
Expected<void> capture_torchscript(const CaptureOptions& options) {
  if (options.ids.empty()) {
    return fail(ErrorKind::usage, "a TorchScript file has no tokenizer", "--torchscript", "Give token ids with --ids");
  }
  auto sequence = script_ids(options.ids);
  if (!sequence) return fail(std::move(sequence.error()));
  RunRequest request;
  request.checkpoint = options.checkpoint;
  request.sequences = {std::move(*sequence)};
  request.record = options.record;
  request.record.gate_weights = !options.no_gate_weights;
  request.threads = options.threads;
  request.script = ScriptOptions{false, options.routers, options.experts_per_token};
  request.out = options.out;
  request.name = options.name;
  request.source = "token ids";
  const auto summary = run_torchscript(std::move(request), {options.seconds, options.memory_gb});
  if (!summary) return fail(summary.error());
  tell(*summary);
  return options.json ? print_json(to_json(*summary)) : Expected<void>{};
}

Expected<void> run_capture(const CaptureOptions& options) {
  if (auto free = check_output(options.out, options.force); !free) return free;
  if (options.torchscript) return capture_torchscript(options);
  const auto checkpoint = Checkpoint::open(options.checkpoint);
  if (!checkpoint) return fail(checkpoint.error());
  const auto request = make_request(**checkpoint, options);
  if (!request) return fail(request.error());
  note(announcement(**checkpoint, *request));
  const auto summary = run_request(*request, "Capture");
  if (!summary) return fail(summary.error());
  tell(*summary);
  return options.json ? print_json(to_json(*summary)) : Expected<void>{};
}

}  // namespace

void add_capture(CLI::App& app, Chosen& chosen) {
  const auto options = std::make_shared<CaptureOptions>();
  CLI::App* command = app.add_subcommand("capture", "Run a checkpoint on text and record how every token is routed");
  CLI::Option_group* input = add_input_options(*command, *options, "What to run, one of:");
  input->add_option("--text", options->text, "Text file, cut into sequences");
  input->add_option("--jsonl", options->jsonl,
                    "File of lines {\"text\": …, \"domain\": …} or {\"ids\": […]}; other keys become tags");
  add_engine_options(*command, *options);
  command->add_option("--decoder-ids", options->decoder_ids,
                      "For models with an encoder, which reads the input: token ids that the decoder reads, its start "
                      "token included; the start token alone when nothing is given");
  command->add_option("--decoder-text", options->decoder_text,
                      "The same as text: the start token is put before it and its end token left out");
  command->add_option("--sequence-length", options->sequence_length, "Longest sequence in tokens")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command->add_option("--max-tokens", options->max_tokens, "Stop after this many tokens; 0 = all")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads; 0 = all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--router-logits", options->record.router_logits, "Store the raw router logits");
  command->add_flag("--output-logits", options->record.output_logits, "Store the output logits");
  command->add_flag("--output-norms", options->record.expert_output_norms, "Store the norm of each expert's output");
  command
      ->add_option("--sample-outputs", options->record.sampled_outputs,
                   "Store this many outputs of each expert, in a file beside the trace")
      ->capture_default_str();
  command->add_flag("--no-gate-weights", options->no_gate_weights, "Do not store gate weights");
  command->add_flag("--no-loss", options->no_loss, "Do not compute the loss of each token");
  command->add_option("--hooks", options->hooks,
                      "JSON file with changes to the model: routers, logits, experts, capacity");
  command->add_flag("--torchscript", options->torchscript,
                    "The checkpoint is a TorchScript module: run its code, in a process of its own, on --ids");
  command
      ->add_option("--router", options->routers,
                   "With --torchscript: modules whose output is router logits; found by their top-k when absent")
      ->delimiter(',');
  command->add_option("--experts-per-token", options->experts_per_token,
                      "With --torchscript: how many largest logits are taken where the module's choice is not found");
  command->add_option("--time-limit", options->seconds, "With --torchscript: seconds after which the module is stopped")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  command->add_option("--name", options->name, "Name of the trace; the input's name when absent");
  command->callback([options, &chosen] { chosen.run = [options] { return run_capture(*options); }; });
}

}  // namespace moescope::cli
