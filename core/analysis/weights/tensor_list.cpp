// The tensors of a checkpoint, with search.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/analysis/weights/weight_tools.h"
#include "core/base/natural_order.h"

namespace moescope {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// Whether all words of the search are in the name.
bool matches(const std::string& name, const std::string& search) {
  const std::string hay = lower(name), words = lower(search);
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    if (hay.find(words.substr(begin, end - begin)) == std::string::npos) return false;
    begin = end + 1;
  }
  return true;
}

Expected<Result> run_list(const CheckpointInput& input) {
  const auto search = input.params.at("search").get<std::string>();
  const auto most = input.params.at("most").get<std::size_t>();
  Table table{"tensors",
              "Tensors",
              {{"name", ""}, {"type", ""}, {"shape", ""}, {"elements", ""}, {"bytes", "B"}, {"file", ""}},
              {}};
  std::uint64_t found = 0, bytes = 0;
  std::vector<const std::pair<const std::string, TensorView>*> shown;
  for (const auto& tensor : input.checkpoint.tensors()) {
    if (!matches(tensor.first, search)) continue;
    ++found;
    bytes += tensor.second.bytes.size();
    shown.push_back(&tensor);
  }
  std::sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) { return natural_less(a->first, b->first); });
  shown.resize(std::min(shown.size(), most));
  table.rows.reserve(shown.size());
  for (const auto* tensor : shown) {
    const auto& [name, view] = *tensor;
    table.rows.push_back({name, std::string(dtype_name(view.type)), fmt::format("{}", fmt::join(view.shape, " x ")),
                          static_cast<std::int64_t>(view.elements()), static_cast<std::int64_t>(view.bytes.size()),
                          std::filesystem::path(view.file).filename().string()});
  }
  Result result;
  result.scalars.push_back({"found", "Tensors found", "", "", {static_cast<double>(found)}});
  result.scalars.push_back({"bytes", "Their bytes", "B", "", {static_cast<double>(bytes)}});
  if (found > table.rows.size()) {
    result.caveats.push_back(fmt::format("The first {} of {} tensors are shown.", table.rows.size(), found));
  }
  result.tables.push_back(std::move(table));
  return result;
}

}  // namespace

CheckpointAnalysisSpec tensors_analysis() {
  return {{"tensors",
           "Tensors",
           "Names, types and shapes of the stored tensors",
           1,
           {{"search", "text", "Words that the name must hold", ""},
            {"most", "int", "Most rows to list", 2000, {}, 1.0, 1e7}},
           {},
           {}},
          run_list};
}

}  // namespace moescope
