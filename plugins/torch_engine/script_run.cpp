#include "plugins/torch_engine/script_run.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/memory_bound.h"
#include "core/base/process.h"
#include "core/trace/trace_file.h"
#include "plugins/torch_engine/blocks/memory.h"
#include "plugins/torch_engine/blocks/router.h"
#include "plugins/torch_engine/interrupt.h"
#include "plugins/torch_engine/script_graph.h"

namespace moescope::torch_engine {
namespace {

namespace jit = torch::jit;

// The line of a loader's message that says what is wrong: the operator that is not known, else the first.
std::string reason_of(const std::string& message) {
  for (const char* sign : {"Unknown builtin op", "Unknown type name", "unknown operator"}) {
    if (const std::size_t at = message.find(sign); at != std::string::npos) {
      return message.substr(at, message.find('\n', at) - at);
    }
  }
  return message.substr(0, message.find('\n'));
}

// The interpreter's messages end with what was raised.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.find_last_of('\n') + 1);
}

Expected<jit::Module> load_script(const std::string& file) {
  try {
    jit::Module module = jit::load(file, at::Device(at::kCPU));
    module.eval();
    return module;
  } catch (const std::exception& e) {
    if (is_out_of_memory(e.what())) throw;
    return fail(ErrorKind::input, "the TorchScript module cannot be loaded: " + reason_of(e.what()), file,
                "Save it with torch.jit.save(torch.jit.script(model)); operators that are newer than this LibTorch are "
                "not known to it");
  }
}

// Values of forward's arguments after the module and the ids: their defaults.
Expected<std::vector<at::IValue>> further_arguments(const jit::Module& module, const std::string& file) {
  std::vector<at::IValue> out;
  const auto& arguments = module.get_method("forward").function().getSchema().arguments();
  if (arguments.size() < 2) {
    return fail(ErrorKind::input, "the module's forward takes no input", file, "It must take token ids [1, tokens]");
  }
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    if (arguments[i].default_value()) {
      out.push_back(*arguments[i].default_value());
    } else {
      return fail(ErrorKind::input, "the module's forward wants \"" + arguments[i].name() + "\" besides token ids",
                  file, "Save a module whose forward takes token ids alone, or has defaults for the rest");
    }
  }
  return out;
}

// The tensor in a value, or the first of a tuple, as rows [tokens, n].
Expected<at::Tensor> rows_of(const at::IValue& value, std::int64_t tokens, const std::string& name) {
  const bool tuple = value.isTuple() && !value.toTupleRef().elements().empty();
  const at::IValue& one = tuple ? value.toTupleRef().elements()[0] : value;
  if (one.isTensor() && one.toTensor().numel() > 0 && one.toTensor().numel() % tokens == 0) {
    return one.toTensor().detach().cpu().reshape({tokens, -1});
  }
  return fail(ErrorKind::input, "what \"" + name + "\" gives is not a row of numbers for each token", name,
              "Name the module whose output is the router's logits");
}

// What the routers of a script made of some tokens.
struct RouterOutput {
  at::Tensor logits;  // [n, E] float32
  at::Tensor ids;     // [n, k] int64
  at::Tensor values;  // [n, k] float32: weights as far as the script's choice tells them; undefined = not known
};

Expected<RouterOutput> read_router(const ScriptRouter& router, const std::vector<at::IValue>& outputs,
                                   std::int64_t tokens, std::uint32_t asked_k) {
  RouterOutput out;
  auto logits = rows_of(outputs.at(router.logits), tokens, router.name);
  if (!logits) return fail(logits.error());
  out.logits = logits->to(at::kFloat);
  const std::int64_t experts = out.logits.size(1);
  if (!router.chooses) {
    if (asked_k == 0 || asked_k > experts) {
      return fail(ErrorKind::usage,
                  "the choice after \"" + router.name + "\" was not found: say how many of its " +
                      std::to_string(experts) + " experts a token takes",
                  "--experts-per-token", "The largest logits are then taken as chosen");
    }
    out.ids = blocks::stable_top_k(out.logits, asked_k);
    return out;
  }
  auto ids = rows_of(outputs.at(router.ids), tokens, router.name);
  if (!ids) return fail(ids.error());
  out.ids = ids->to(at::kLong);
  const bool per_token = router.k == 0 || out.ids.size(1) == router.k;
  if (!per_token || out.ids.lt(0).any().item<bool>() || out.ids.ge(experts).any().item<bool>()) {
    return fail(ErrorKind::input, "the choice after \"" + router.name + "\" is not one of experts for each token",
                router.name, "Name the routers' modules");
  }
  if (router.has_values && !router.score.empty()) {
    auto values = rows_of(outputs.at(router.values), tokens, router.name);
    if (!values) return fail(values.error());
    out.values = values->to(at::kFloat);
  }
  return out;
}

// The first whole number in "layers.3.gate"; `otherwise` when there is none.
int layer_in(const std::string& name, int otherwise) {
  for (std::size_t begin = 0; begin < name.size(); ++begin) {
    const bool starts = begin == 0 || name[begin - 1] == '.';
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    const bool digits = !part.empty() && part.size() < 5 && part.find_first_not_of("0123456789") == std::string::npos;
    if (starts && digits) return std::stoi(part);
  }
  return otherwise;
}

std::string words(const ScriptRouter& router) {
  if (!router.chooses) return "the largest outputs of " + router.name;
  const std::string many = router.k == 0   ? "the best"
                           : router.k == 1 ? "the best one"
                                           : "the best " + std::to_string(router.k);
  return router.score.empty() ? many + " logits of " + router.name
                              : router.score + " of " + router.name + ", then " + many;
}

Trace trace_head(const RunRequest& request, const std::vector<ScriptRouter>& routers,
                 const std::vector<RouterOutput>& outputs) {
  auto info = std::make_shared<TraceInfo>();
  bool values = true, sorted = true, chooses = true;
  for (std::size_t r = 0; r < routers.size(); ++r) {
    RouterRow row;
    row.layer = layer_in(routers[r].name, static_cast<int>(r));
    row.experts = static_cast<std::uint32_t>(outputs[r].logits.size(1));
    row.k = static_cast<std::uint32_t>(outputs[r].ids.size(1));
    row.rule = words(routers[r]);
    info->rows.push_back(std::move(row));
    values = values && outputs[r].values.defined();
    sorted = sorted && routers[r].sorted;
    chooses = chooses && routers[r].chooses;
  }
  info->rank_order = sorted;
  if (values) info->weight_kind = "scores of the chosen, before anything that the script does to them afterwards";
  if (!chooses)
    info->approximate = "the script's own choice was not found; the largest router outputs are taken for it";
  info->model_name = request.checkpoint.substr(request.checkpoint.find_last_of('/') + 1);
  info->model_family = "TorchScript";
  info->source_tool = "MoEScope";
  info->source_file = request.checkpoint;
  info->source_notes = request.source;
  Trace trace;
  trace.name = request.name.empty() ? info->model_name : request.name;
  trace.info = std::move(info);
  return trace;
}

Segment segment_of(const RunRequest& request, const std::vector<RouterOutput>& outputs, std::size_t tokens) {
  Segment out;
  out.rows = outputs.size();
  out.tokens = tokens;
  std::int64_t experts = 0;
  bool varies = false, values = true;
  for (const RouterOutput& row : outputs) {
    varies = varies || (out.slots != 0 && out.slots != static_cast<std::size_t>(row.ids.size(1)));
    out.slots = std::max(out.slots, static_cast<std::size_t>(row.ids.size(1)));
    experts = std::max(experts, row.logits.size(1));
    values = values && row.values.defined();
  }
  constexpr float unknown = std::numeric_limits<float>::quiet_NaN();
  const auto width = static_cast<std::size_t>(experts);
  std::vector<std::uint16_t> ids(out.rows * tokens * out.slots, 0xFFFF);
  std::vector<std::uint8_t> used(out.rows * tokens);
  std::vector<float> weights(values ? ids.size() : 0, unknown), logits(out.rows * tokens * width, unknown);
  for (std::size_t r = 0; r < out.rows; ++r) {
    const at::Tensor chosen = outputs[r].ids.contiguous(), scores = outputs[r].logits.contiguous();
    const at::Tensor kept = values ? outputs[r].values.contiguous() : at::Tensor();
    const auto k = static_cast<std::size_t>(chosen.size(1)), own = static_cast<std::size_t>(scores.size(1));
    for (std::size_t t = 0; t < tokens; ++t) {
      const std::size_t cell = r * tokens + t;
      used[cell] = static_cast<std::uint8_t>(k);
      std::copy_n(scores.data_ptr<float>() + t * own, own, logits.begin() + static_cast<std::ptrdiff_t>(cell * width));
      for (std::size_t j = 0; j < k; ++j) {
        ids[cell * out.slots + j] = static_cast<std::uint16_t>(chosen.data_ptr<std::int64_t>()[t * k + j]);
        if (values) weights[cell * out.slots + j] = kept.data_ptr<float>()[t * k + j];
      }
    }
  }
  if (width < 256) {
    out.ids8 = Column<std::uint8_t>::own(std::vector<std::uint8_t>(ids.begin(), ids.end()));
  } else {
    out.ids16 = Column<std::uint16_t>::own(std::move(ids));
  }
  if (varies) out.used = Column<std::uint8_t>::own(std::move(used));
  if (values && request.record.gate_weights) out.gate_weights = FloatColumn::own(std::move(weights));
  if (request.record.router_logits) {
    out.logit_width = width;
    out.router_logits = FloatColumn::own(std::move(logits));
  }
  std::vector<std::int32_t> token_ids, sequences, positions;
  for (std::size_t s = 0; s < request.sequences.size(); ++s) {
    const auto& own = request.sequences[s].ids;
    token_ids.insert(token_ids.end(), own.begin(), own.end());
    sequences.insert(sequences.end(), own.size(), static_cast<std::int32_t>(s));
    for (std::size_t t = 0; t < own.size(); ++t) positions.push_back(static_cast<std::int32_t>(t));
  }
  out.token_ids = Column<std::int32_t>::own(std::move(token_ids));
  out.sequence_ids = Column<std::int32_t>::own(std::move(sequences));
  out.positions = Column<std::int32_t>::own(std::move(positions));
  return out;
}

// What the module has, for people.
RunSummary inspected(const jit::Module& module, const ScriptGraph& found) {
  RunSummary out;
  std::string input;
  const auto& arguments = module.get_method("forward").function().getSchema().arguments();
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    input += (i > 1 ? ", " : "") + arguments[i].name() + ": " + arguments[i].type()->str();
  }
  std::int64_t parameters = 0;
  for (const at::Tensor& parameter : module.parameters()) parameters += parameter.numel();
  out.notes.push_back("TorchScript module, forward(" + input + "), " + std::to_string(parameters) + " parameters");
  for (const ScriptRouter& router : found.routers) {
    out.notes.push_back("router " + router.name + ": " +
                        (router.experts > 0 ? std::to_string(router.experts) + " experts, " : std::string()) +
                        words(router));
  }
  if (found.routers.empty()) out.notes.emplace_back("no router was found; name the modules that give router logits");
  std::string modules;
  for (const std::string& name : found.modules) modules += (modules.empty() ? "" : ", ") + name;
  out.notes.push_back("modules: " + (modules.empty() ? std::string("none") : modules));
  out.notes.insert(out.notes.end(), found.notes.begin(), found.notes.end());
  out.mean_loss = std::nan("");
  return out;
}

// Runs all sequences; one output per router, tokens of all sequences in order.
Expected<std::vector<RouterOutput>> run_sequences(const RunRequest& request, const jit::Module& module,
                                                  const ScriptGraph& found, const std::vector<at::IValue>& further,
                                                  const WorkContext& work) {
  const jit::GraphOptimizerEnabledGuard as_written(false);
  jit::GraphExecutor executor(found.graph, "capture");
  std::vector<std::vector<RouterOutput>> parts(found.routers.size());
  for (std::size_t s = 0; s < request.sequences.size(); ++s) {
    if (work.cancelled()) throw Interrupted{};
    work.report("Capture: sequence " + std::to_string(s + 1) + " of " + std::to_string(request.sequences.size()),
                static_cast<double>(s) / static_cast<double>(request.sequences.size()));
    const auto& ids = request.sequences[s].ids;
    const auto tokens = static_cast<std::int64_t>(ids.size());
    std::vector<at::IValue> stack{module._ivalue(), at::tensor(ids).to(at::kLong).unsqueeze(0)};
    stack.insert(stack.end(), further.begin(), further.end());
    try {
      executor.run(stack);
    } catch (const std::exception& e) {
      if (is_out_of_memory(e.what())) throw;
      return fail(ErrorKind::input, "the script failed: " + last_line(e.what()), "sequence " + std::to_string(s),
                  "Its forward must take token ids [1, tokens] of whole numbers");
    }
    for (std::size_t r = 0; r < found.routers.size(); ++r) {
      auto read = read_router(found.routers[r], stack, tokens, request.script->experts_per_token);
      if (!read) return fail(read.error());
      const std::vector<RouterOutput>& before = parts[r];
      if (!before.empty() && before[0].logits.size(1) != read->logits.size(1)) {
        return fail(ErrorKind::input, "\"" + found.routers[r].name + "\" has another number of outputs per sequence",
                    "sequence " + std::to_string(s), "Name the module whose output is the router's logits");
      }
      parts[r].push_back(std::move(*read));
    }
  }
  std::vector<RouterOutput> out(parts.size());
  for (std::size_t r = 0; r < parts.size(); ++r) {
    std::vector<at::Tensor> logits, ids, values;
    for (const RouterOutput& part : parts[r]) {
      logits.push_back(part.logits);
      ids.push_back(part.ids);
      if (part.values.defined()) values.push_back(part.values);
    }
    out[r].logits = at::cat(logits, 0);
    out[r].ids = at::cat(ids, 0);
    if (values.size() == ids.size()) out[r].values = at::cat(values, 0);
  }
  return out;
}

}  // namespace

Expected<RunSummary> run_script(const RunRequest& request, const WorkContext& work) {
  const MemoryBound bound(request.memory_limit > 0 ? request.memory_limit : available_memory() / 2);
  work.report("Loading the script", 0.0);
  const auto module = load_script(request.checkpoint);
  if (!module) return fail(module.error());
  auto found = find_script_routers(*module, request.script->routers);
  if (!found) return fail(found.error());
  if (request.script->inspect) return inspected(*module, *found);
  if (found->routers.empty()) {
    std::string modules;
    for (const std::string& name : found->modules) modules += (modules.empty() ? "" : ", ") + name;
    return fail(ErrorKind::input, "no router was found in the module", request.checkpoint,
                "Name the modules that give router logits with --router. Modules: " + modules);
  }
  std::size_t tokens = 0;
  for (const SequenceInput& sequence : request.sequences) {
    if (sequence.ids.empty()) return fail(ErrorKind::usage, "a sequence has no token ids", {}, "Give token ids");
    tokens += sequence.ids.size();
  }
  if (tokens == 0) return fail(ErrorKind::usage, "there are no tokens to run", {}, "Give at least one token id");
  const auto further = further_arguments(*module, request.checkpoint);
  if (!further) return fail(further.error());
  const auto begin = std::chrono::steady_clock::now();
  const auto outputs = run_sequences(request, *module, *found, *further, work);
  if (!outputs) return fail(outputs.error());
  RunSummary out;
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  auto writer = TraceWriter::create(request.out, trace_head(request, found->routers, *outputs), tokens);
  if (!writer) return fail(writer.error());
  if (auto ok = writer->append(segment_of(request, *outputs, tokens)); !ok) return fail(ok.error());
  if (auto ok = writer->finish(); !ok) return fail(ok.error());
  out.trace_file = request.out;
  out.tokens = tokens;
  out.sequences = request.sequences.size();
  out.mean_loss = std::nan("");
  out.device = "cpu";
  out.compute_type = "the script's own types";
  out.peak_bytes = peak_resident_bytes();
  for (const ScriptRouter& router : found->routers) out.notes.push_back("router " + router.name + ": " + words(router));
  out.notes.insert(out.notes.end(), found->notes.begin(), found->notes.end());
  return out;
}

}  // namespace moescope::torch_engine
