// moescope-train: learns the tokenizer and the sample model from a corpus, or checks a model against its promises.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>

#include "core/analysis/analysis.h"
#include "core/base/threads.h"
#include "core/trace/trace_file.h"
#include "plugins/torch_engine/train/bpe_trainer.h"
#include "plugins/torch_engine/train/corpus.h"
#include "plugins/torch_engine/train/evaluate.h"
#include "plugins/torch_engine/train/load_model.h"
#include "plugins/torch_engine/train/model_files.h"
#include "plugins/torch_engine/train/route_trace.h"
#include "plugins/torch_engine/train/trainer.h"

namespace moescope::train {
namespace {

struct Options {
  std::string corpus, held_out, out, evaluate, trace;
  RouteTraceOptions trace_options;
  ModelShape shape;
  TrainSettings settings;
  int threads = 1;
};

// Every domain counts the same in the tokenizer's training, whatever its size.
Expected<Bpe> learn_tokenizer(const std::vector<Document>& documents, std::size_t vocabulary) {
  std::map<std::string, std::size_t> bytes;
  for (const Document& d : documents) bytes[d.domain] += d.text.size();
  std::size_t largest = 1;
  for (const auto& [domain, size] : bytes) largest = std::max(largest, size);
  std::vector<WeightedText> texts;
  for (const Document& d : documents) {
    const std::size_t size = std::max<std::size_t>(1, bytes[d.domain]);
    texts.push_back({d.text, static_cast<std::int64_t>(10 * largest / size)});
  }
  return train_bpe(texts, vocabulary);
}

Expected<bool> print_evaluation(const blocks::ModelWeights& weights, const ModelShape& shape,
                                const Tokenizer& tokenizer, const TokenStreams& streams,
                                const std::vector<Document>& held_out) {
  const Limits limits;
  const auto checked = evaluate(weights, shape, tokenizer, streams, held_out, limits);
  if (!checked) return Unexpected(checked.error());
  bool passed = false;
  const std::string table = evaluation_table(*checked, limits, passed);
  std::fputs(table.c_str(), stdout);
  std::fflush(stdout);
  return passed;
}

// How much a token's experts at a layer say about its experts at the next, beside the band of the null.
Expected<void> print_affinity(const Trace& trace) {
  const auto everything = apply_filter(trace, "");
  if (!everything) return Unexpected(everything.error());
  const auto result = run_analysis("affinity", trace, *everything, {{"row", 0}});
  if (!result) return Unexpected(result.error());
  const Series* strength = result->find_series("strength");
  const Series* null = result->find_series("strength_null");
  if (strength == nullptr || null == nullptr || strength->y.size() != null->high.size()) return {};
  fmt::print("\n{:<12} {:>20} {:>24}\n", "layers", "affinity strength", "null, 95 % band");
  for (std::size_t i = 0; i < strength->y.size(); ++i) {
    fmt::print("L{}-L{:<9} {:>19.4f} {:>15.4f}-{:.4f}\n", i, i + 1, strength->y[i], null->low[i], null->high[i]);
  }
  return {};
}

Expected<void> judged(const Expected<bool>& passed) {
  if (!passed) return Unexpected(passed.error());
  if (*passed) return {};
  return fail(ErrorKind::partial, "a promise is not kept", "the table above", "Train longer or change the weights.");
}

Expected<void> run_training(const Options& options) {
  const auto documents = read_documents(options.corpus);
  if (!documents) return Unexpected(documents.error());
  const auto bpe = learn_tokenizer(*documents, static_cast<std::size_t>(options.shape.vocabulary));
  if (!bpe) return Unexpected(bpe.error());
  ModelShape shape = options.shape;
  shape.vocabulary = static_cast<std::int64_t>(bpe->size());
  const std::string tokenizer_file = tokenizer_json(*bpe);
  const blocks::ModelWeights start = initial_weights(shape, options.settings.seed);
  if (auto done = write_model(options.out, shape, start, tokenizer_file); !done) return done;
  const auto tokenizer = load_tokenizer(std::filesystem::path(options.out) / "tokenizer.json");
  if (!tokenizer) return Unexpected(tokenizer.error());
  const auto streams = tokenise(*documents, **tokenizer, Bpe::end_of_text);
  if (!streams) return Unexpected(streams.error());
  for (std::size_t d = 0; d < streams->domains.size(); ++d) {
    fmt::print("{:<12} {:>9} tokens\n", streams->domains[d], streams->tokens[d].size());
  }
  std::fflush(stdout);
  const auto began = std::chrono::steady_clock::now();
  const auto report = [&](const StepReport& r) {
    if (r.step % 50 != 0 && r.step != 1) return;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
    const double tokens = static_cast<double>(r.step * options.settings.batch * options.settings.length);
    fmt::print("step {:>5}  loss {:.4f}  balance {:.4f}  z {:.3f}  gradient {:.2f}  {:.0f} s  {:.0f} tokens/s\n",
               r.step, r.loss, r.balance, r.z, r.gradient_norm, taken.count(), tokens / taken.count());
    std::fflush(stdout);
  };
  std::vector<Document> held_out;
  if (!options.held_out.empty()) {
    auto read = read_documents(options.held_out);
    if (!read) return Unexpected(read.error());
    held_out = std::move(*read);
  }
  const auto keep = [&](std::int64_t step, const blocks::ModelWeights& weights) -> Expected<void> {
    const std::filesystem::path folder = std::filesystem::path(options.out) / fmt::format("step-{:05}", step);
    if (auto done = write_model(folder, shape, weights, tokenizer_file); !done) return done;
    if (held_out.empty()) return {};
    fmt::print("\nafter {} steps\n", step);
    const auto shown = print_evaluation(weights, shape, **tokenizer, *streams, held_out);
    return shown ? Expected<void>{} : Unexpected(shown.error());
  };
  const auto weights = train_model(shape, options.settings, *streams, report, keep);
  if (!weights) return Unexpected(weights.error());
  if (auto done = write_model(options.out, shape, *weights, tokenizer_file); !done) return done;
  if (held_out.empty()) return {};
  return judged(print_evaluation(*weights, shape, **tokenizer, *streams, held_out));
}

Expected<void> run_evaluation(const Options& options) {
  const auto documents = read_documents(options.corpus);
  if (!documents) return Unexpected(documents.error());
  const auto held_out = read_documents(options.held_out);
  if (!held_out) return Unexpected(held_out.error());
  const auto model = load_model(options.evaluate);
  if (!model) return Unexpected(model.error());
  RouteTraceOptions trace_options = options.trace_options;
  trace_options.name = std::filesystem::path(options.trace).filename().string();
  const auto trace = record_routes(*model, *held_out, trace_options);
  if (!trace) return Unexpected(trace.error());
  if (!options.trace.empty()) {
    if (auto done = write_trace(*trace, options.trace); !done) return done;
  }
  const auto streams = tokenise(*documents, *model->tokenizer, Bpe::end_of_text);
  if (!streams) return Unexpected(streams.error());
  const auto passed = print_evaluation(model->weights, model->shape, *model->tokenizer, *streams, *held_out);
  if (!passed) return Unexpected(passed.error());
  if (auto done = print_affinity(*trace); !done) return done;
  return judged(passed);
}

int run(int argc, char** argv) {
  Options o;
  CLI::App app("Trains the sample model of MoEScope, or checks one (--evaluate).");
  app.option_defaults()->always_capture_default();
  app.add_option("--corpus", o.corpus, "training text: JSON Lines {text, domain}, .zst allowed")->required();
  app.add_option("--held-out", o.held_out, "held-out text: JSON Lines {text, domain}");
  app.add_option("--out", o.out, "folder for the model; checkpoints go to step-NNNNN in it");
  app.add_option("--evaluate", o.evaluate, "check this model folder instead of training");
  app.add_option("--trace", o.trace, "with --evaluate: also record the held-out text's routes in this file");
  app.add_flag("--compact", o.trace_options.compact, "with --trace: float16 weights, no losses");
  app.add_option("--trace-notes", o.trace_options.notes, "with --trace: a note kept in the file");
  app.add_option("--vocabulary", o.shape.vocabulary, "tokens of the tokenizer, bytes included");
  app.add_option("--hidden", o.shape.hidden, "hidden size");
  app.add_option("--layers", o.shape.layers, "decoder layers");
  app.add_option("--heads", o.shape.heads, "attention heads");
  app.add_option("--experts", o.shape.experts, "experts per layer");
  app.add_option("--k", o.shape.k, "experts per token");
  app.add_option("--intermediate", o.shape.intermediate, "width of an expert");
  app.add_option("--steps", o.settings.steps, "optimiser steps");
  app.add_option("--batch", o.settings.batch, "sequences per step");
  app.add_option("--length", o.settings.length, "tokens per sequence");
  app.add_option("--warm-up", o.settings.warm_up, "steps of rising rate");
  app.add_option("--rate", o.settings.learning_rate, "highest learning rate");
  app.add_option("--balance", o.settings.balance_weight, "weight of the load-balance loss");
  app.add_option("--z", o.settings.z_weight, "weight of the router z-loss");
  app.add_option("--seed", o.settings.seed, "seed of everything random");
  app.add_option("--keep", o.settings.keep_steps, "steps whose weights are kept, for example 0,100,400")
      ->delimiter(',');
  app.add_option("--threads", o.threads, "threads of the matrix products");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 1;
  }
  at::set_num_threads(o.threads);
  const auto fits = [&](std::int64_t v) { return v >= 1 && v <= (1 << 20); };
  const ModelShape& s = o.shape;
  Expected<void> done;
  if (o.evaluate.empty() == o.out.empty() || (!o.evaluate.empty() && o.held_out.empty())) {
    done = fail(ErrorKind::usage, "nothing to do", "options",
                "Give --out FOLDER to train, or --evaluate MODEL with --held-out FILE.");
  } else if (!fits(s.hidden) || !fits(s.layers) || !fits(s.heads) || !fits(s.k) || !fits(s.intermediate) ||
             s.hidden % s.heads != 0 || s.hidden / s.heads % 2 != 0 || s.experts < s.k || s.experts > 256 ||
             s.vocabulary < 257 || !fits(s.vocabulary) || !fits(o.settings.batch) || !fits(o.settings.length)) {
    done = fail(ErrorKind::usage, "the shape does not work", "options",
                "hidden must be heads times an even number, k ≤ experts ≤ 256, vocabulary ≥ 257.");
  } else {
    done = o.evaluate.empty() ? run_training(o) : run_evaluation(o);
  }
  if (done) return 0;
  std::fprintf(stderr, "moescope-train: %s\n", done.error().text().c_str());
  return exit_code(done.error().kind);
}

}  // namespace
}  // namespace moescope::train

int main(int argc, char** argv) {
  // OpenMP reads its environment when its library is loaded, before main: start again once it is set.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    moescope::prepare_process_environment();
    execv("/proc/self/exe", argv);
  }
  try {
    return moescope::train::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "moescope-train: %s\n", e.what());
    return 3;
  }
}
