#include "plugins/torch_engine/script_graph.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace moescope::torch_engine {
namespace {

namespace jit = torch::jit;

constexpr std::size_t most_steps = 64;  // from a choice back to its product

// "layers.0.gate" of a value that is that member of the graph's first input; nothing for other values.
std::optional<std::string> member_path(const jit::Value* value) {
  std::string path;
  for (std::size_t depth = 0; depth < most_steps; ++depth) {
    const jit::Node* node = value->node();
    if (node->kind() == c10::prim::Param) {
      return value == node->owningGraph()->inputs().at(0) ? std::optional(path) : std::nullopt;
    }
    if (node->kind() != c10::prim::GetAttr) return std::nullopt;
    path = node->s(c10::attr::name) + (path.empty() ? "" : "." + path);
    value = node->input(0);
  }
  return std::nullopt;
}

// The parameter that a product multiplies with, through a transpose.
std::optional<std::string> weight_path(const jit::Node* node) {
  const std::string_view kind = node->kind().toQualString();
  const bool plain = kind == "aten::linear" || kind == "aten::matmul" || kind == "aten::mm";
  if (!plain && kind != "aten::addmm") return std::nullopt;
  const jit::Value* weight = node->input(plain ? 1 : 2);
  const std::string_view maker = weight->node()->kind().toQualString();
  if (maker == "aten::t" || maker == "aten::transpose" || maker == "aten::numpy_T") weight = weight->node()->input(0);
  return member_path(weight);
}

std::string_view score_of(const jit::Node* node) {
  const std::string_view kind = node->kind().toQualString();
  if (kind == "aten::softmax" || kind == "aten::_softmax" || kind == "aten::log_softmax") return "softmax";
  return kind == "aten::sigmoid" ? "sigmoid" : "";
}

// Operations that hand their first input on, number by number or nearly so.
bool passes_on(const jit::Node* node) {
  static const std::set<std::string_view> kinds{
      "aten::to",        "aten::float",  "aten::type_as",     "aten::view",        "aten::reshape", "aten::flatten",
      "aten::squeeze",   "aten::add",    "aten::unsqueeze",   "aten::contiguous",  "aten::sub",     "aten::mul",
      "aten::div",       "aten::detach", "aten::clone",       "aten::masked_fill", "aten::dropout", "aten::add_",
      "aten::transpose", "aten::log",    "aten::masked_fill_"};
  return kinds.count(node->kind().toQualString()) != 0;
}

struct Found {
  jit::Value* logits = nullptr;
  std::string name, score;
};

// From what a choice is made from back to the product of a weight, or to a value that was asked for by name.
std::optional<Found> source_of_choice(jit::Value* from, const std::map<jit::Value*, std::string>& named) {
  Found out;
  out.logits = from;
  jit::Value* value = from;
  for (std::size_t step = 0; step < most_steps; ++step) {
    if (const auto it = named.find(value); it != named.end()) {
      out.name = it->second;
      out.logits = value;
      return out;
    }
    jit::Node* node = value->node();
    if (const auto weight = weight_path(node)) {
      if (!named.empty()) return std::nullopt;
      constexpr std::string_view ending = ".weight";
      out.name = weight->ends_with(ending) ? weight->substr(0, weight->size() - ending.size()) : *weight;
      return out;
    }
    const std::string_view score = score_of(node);
    if (score.empty() && !passes_on(node)) return std::nullopt;
    value = node->input(0);
    if (score.empty()) continue;
    out.score = score;
    out.logits = value;
  }
  return std::nullopt;
}

// A node that chooses the largest numbers, and which of its outputs are what.
struct ChoiceNode {
  jit::Value* from = nullptr;
  jit::Value *values = nullptr, *ids = nullptr;
  std::int64_t k = 0;
  bool sorted = true;
};

std::optional<ChoiceNode> choice_of(jit::Node* node) {
  const std::string_view kind = node->kind().toQualString();
  ChoiceNode out;
  if (kind == "aten::topk" && node->outputs().size() == 2) {
    out.values = node->output(0);
    out.ids = node->output(1);
    out.k = jit::constant_as<std::int64_t>(node->input(1)).value_or(0);
    if (node->inputs().size() > 4) out.sorted = jit::constant_as<bool>(node->input(4)).value_or(true);
  } else if (kind == "aten::max" && node->outputs().size() == 2) {
    out.values = node->output(0);
    out.ids = node->output(1);
    out.k = 1;
  } else if (kind == "aten::argmax") {
    out.ids = node->output(0);
    out.k = 1;
  } else {
    return std::nullopt;
  }
  out.from = node->input(0);
  return out;
}

std::size_t choices_inside(jit::Block* block) {
  std::size_t count = 0;
  for (jit::Node* node : block->nodes()) {
    if (node->kind().toQualString() == std::string_view("aten::topk")) ++count;
    for (jit::Block* inner : node->blocks()) count += choices_inside(inner);
  }
  return count;
}

// Replaces calls of methods by their bodies, level by level; what a wanted module returns becomes an output first.
// Returns the number of that output by name.
std::map<std::string, std::size_t> inline_methods(const std::shared_ptr<jit::Graph>& graph,
                                                  const std::set<std::string>& wanted, std::set<std::string>& twice) {
  std::map<std::string, std::size_t> outputs;
  for (bool changed = true; changed;) {
    changed = false;
    for (auto it = graph->nodes().begin(); it != graph->nodes().end();) {
      jit::Node* node = *it++;
      if (node->kind() != c10::prim::CallMethod) continue;
      jit::GraphFunction* callee = jit::tryToGraphFunction(node);
      if (!callee) continue;
      const auto path = member_path(node->input(0));
      if (path && wanted.count(*path) != 0 && node->s(c10::attr::name) == "forward") {
        if (!outputs.emplace(*path, graph->outputs().size()).second) twice.insert(*path);
        graph->registerOutput(node->output());
      }
      jit::inlineCallTo(node, callee, true);
      changed = true;
    }
  }
  return outputs;
}

std::int64_t rows_of_weight(const jit::Module& module, const std::string& name) {
  for (const auto& parameter : module.named_parameters()) {
    if (parameter.name == name + ".weight" && parameter.value.dim() == 2) return parameter.value.size(0);
  }
  return 0;
}

}  // namespace

Expected<ScriptGraph> find_script_routers(const jit::Module& module, const std::vector<std::string>& names) {
  ScriptGraph out;
  const auto forward = module.find_method("forward");
  jit::GraphFunction* function = forward ? jit::tryToGraphFunction(forward->function()) : nullptr;
  if (!function) {
    return fail(ErrorKind::input, "this TorchScript module has no forward pass", {}, "Save a module with a forward()");
  }
  for (const auto& inner : module.named_modules()) {
    if (!inner.name.empty()) out.modules.push_back(inner.name);
  }
  const std::set<std::string> wanted(names.begin(), names.end());
  for (const std::string& name : wanted) {
    if (std::find(out.modules.begin(), out.modules.end(), name) != out.modules.end()) continue;
    std::string known;
    for (const std::string& module_name : out.modules) known += (known.empty() ? "" : ", ") + module_name;
    return fail(ErrorKind::usage, "there is no module \"" + name + "\"", "--router", "Modules: " + known);
  }
  out.graph = function->graph()->copy();
  std::set<std::string> twice;
  const auto outputs = inline_methods(out.graph, wanted, twice);
  for (const std::string& name : wanted) {
    if (outputs.count(name) != 0 && twice.count(name) == 0) continue;
    return fail(ErrorKind::usage,
                twice.count(name) != 0 ? "the module \"" + name + "\" is called more than once in a pass"
                                       : "the forward pass does not call the module \"" + name + "\"",
                "--router", "A router's module must be called once, outside of branches and loops");
  }
  jit::Inline(*out.graph);
  jit::ConstantPropagation(out.graph);
  jit::EliminateDeadCode(out.graph);
  std::map<jit::Value*, std::string> named;
  for (const auto& [name, number] : outputs) named[out.graph->outputs()[number]] = name;

  const auto add_output = [&](jit::Value* value) {
    out.graph->registerOutput(value);
    return out.graph->outputs().size() - 1;
  };
  std::set<std::string> chosen;
  for (jit::Node* node : out.graph->nodes()) {
    const auto choice = choice_of(node);
    if (!choice) continue;
    const auto found = source_of_choice(choice->from, named);
    if (!found || !chosen.insert(found->name).second) continue;
    ScriptRouter router;
    router.name = found->name;
    router.score = found->score;
    router.experts = rows_of_weight(module, router.name);
    router.k = choice->k;
    router.chooses = true;
    router.sorted = choice->sorted;
    router.logits = add_output(found->logits);
    router.ids = add_output(choice->ids);
    router.has_values = choice->values != nullptr;
    if (router.has_values) router.values = add_output(choice->values);
    out.routers.push_back(std::move(router));
  }
  for (const std::string& name : names) {
    if (!chosen.insert(name).second) continue;
    ScriptRouter router;
    router.name = name;
    router.experts = rows_of_weight(module, name);
    router.logits = outputs.at(name);
    out.routers.push_back(std::move(router));
  }
  std::size_t inside = 0;
  for (jit::Node* node : out.graph->nodes()) {
    for (jit::Block* block : node->blocks()) inside += choices_inside(block);
  }
  if (inside > 0) {
    out.notes.push_back(std::to_string(inside) + " choices lie inside branches or loops and cannot be recorded");
  }
  return out;
}

}  // namespace moescope::torch_engine
