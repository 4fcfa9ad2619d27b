#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "core/trace/filter_evaluator.h"
#include "core/trace/filter_parser.h"
#include "core/trace/filter_values.h"
#include "core/trace/selection.h"

namespace moescope {
namespace {

bool is_layer(const FilterNode& node) {
  return node.kind == FilterNode::Kind::comparison && node.comparison.name == "layer";
}

// The first term on `layer` anywhere in a tree, or null.
const FilterComparison* find_layer(const FilterNode& node) {
  if (is_layer(node)) return &node.comparison;
  for (const FilterNode& child : node.children) {
    if (const auto* found = find_layer(child)) return found;
  }
  return nullptr;
}

// Moves the terms on `layer` out of the top conjunction; what remains of them there is "all".
Expected<void> take_layers(FilterNode& node, std::vector<FilterComparison>& layers) {
  if (is_layer(node)) {
    if (node.comparison.numbers.empty()) {
      return filter_problem(node.column, "'layer' is a number and was compared with a text",
                            "Compare it with a number");
    }
    layers.push_back(std::move(node.comparison));
    node = FilterNode{};
    return {};
  }
  if (node.kind == FilterNode::Kind::and_of) {
    for (FilterNode& child : node.children) {
      if (auto ok = take_layers(child, layers); !ok) return ok;
    }
    return {};
  }
  if (const auto* found = find_layer(node)) {
    return filter_problem(found->column, "a term on 'layer' chooses rows, not tokens, and stands under || or !",
                          "Join it to the rest of the filter by &&");
  }
  return {};
}

Expected<std::vector<std::uint32_t>> rows_of(const Trace& trace, const std::vector<FilterComparison>& layers) {
  std::vector<std::uint32_t> rows;
  std::set<int> known;
  for (std::size_t r = 0; r < trace.rows().size(); ++r) {
    const int layer = trace.rows()[r].layer;
    known.insert(layer);
    if (std::all_of(layers.begin(), layers.end(),
                    [&](const auto& c) { return holds(c, static_cast<double>(layer)); })) {
      rows.push_back(static_cast<std::uint32_t>(r));
    }
  }
  if (rows.empty() && !layers.empty()) {
    return filter_problem(layers[0].column, "no router of this trace is in such a layer",
                          fmt::format("Layers with routers: {}", fmt::join(known, ", ")));
  }
  if (rows.size() == trace.rows().size()) rows.clear();
  return rows;
}

}  // namespace

Expected<AppliedFilter> apply_filter(const Trace& trace, const std::string& text) {
  auto tree = parse_filter(text);
  if (!tree) return fail(tree.error());
  AppliedFilter out;
  out.filter.text = text;
  out.mask.tokens = trace.token_count();
  out.mask.selected = out.mask.tokens;
  std::vector<FilterComparison> layers;
  if (auto ok = take_layers(*tree, layers); !ok) return fail(ok.error());
  auto rows = rows_of(trace, layers);
  if (!rows) return fail(rows.error());
  out.filter.rows = std::move(*rows);
  if (tree->kind == FilterNode::Kind::all) return out;
  auto bits = evaluate_filter(trace, *tree);
  if (!bits) return fail(bits.error());
  out.mask.selected = 0;
  for (const std::uint64_t word : *bits) out.mask.selected += static_cast<std::size_t>(std::popcount(word));
  if (out.mask.selected < out.mask.tokens) out.mask.bits = std::move(*bits);
  if (auto lost = trace.source_fault()) return fail(*lost);
  return out;
}

std::vector<FilterTerm> filter_terms(const Trace& trace) {
  std::vector<FilterTerm> out;
  for (const std::string& tag : tags_of(trace)) {
    std::set<std::string> values;
    for (const auto& segment : trace.segments) {
      const auto found = segment->tags.find(tag);
      if (found != segment->tags.end()) values.insert(found->second.names.begin(), found->second.names.end());
    }
    out.push_back({tag, values.empty() ? "number" : "tag", {values.begin(), values.end()}});
  }
  if (!trace.segments.empty()) out.push_back({"token", "number", {}});
  for (const NumberColumn& column : number_columns) {
    if (recorded(trace, column.column)) out.push_back({column.name, "number", {}});
  }
  if (has_text(trace)) out.push_back({"text", "text", {}});
  if (recorded(trace, &Segment::phases))
    out.push_back({"phase", "text", {std::begin(phase_names), std::end(phase_names)}});
  if (recorded(trace, &Segment::streams)) out.push_back({"stream", "text", trace.info->stream_names});
  for (const std::string& name : token_values_of(trace)) {
    out.push_back({name == "loss" ? name : "token." + name, "number", {}});
  }
  if (trace.has_ids()) out.push_back({"uses", "function", {}});
  std::set<int> layers;
  for (const RouterRow& row : trace.rows()) layers.insert(row.layer);
  FilterTerm layer{"layer", "number", {}};
  for (const int number : layers) layer.values.push_back(std::to_string(number));
  out.push_back(std::move(layer));
  return out;
}

}  // namespace moescope
