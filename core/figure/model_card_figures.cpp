#include "core/figure/model_card_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/figure/number_format.h"
#include "core/figure/result_access.h"

namespace moescope {
namespace {

constexpr double card_margin = 8, card_row = 24;

void card_head(FigureBuilder& b, const std::string& title, const std::string& left, const std::string& right) {
  b.text({card_margin, 14}, title, FontRole::head, Paint::of(ColorRole::text_1));
  const double end = b.width() - card_margin;
  b.text({end, 14}, right, FontRole::axis, Paint::of(ColorRole::text_3), Anchor::end);
  b.text({end - 84, 14}, left, FontRole::axis, Paint::of(ColorRole::text_3), Anchor::end);
}

// A name, a bar in a track, and two numbers at the right.
struct CardRow {
  std::string name, left, right, tooltip;
  double bar = 0, accent = 0;  // fractions of the track
};
void card_rows(FigureBuilder& b, const std::vector<CardRow>& rows, double top, double name_width) {
  const double x0 = card_margin + name_width + 12, x1 = std::max(x0 + 10, b.width() - card_margin - 84 - 78);
  double y = top;
  for (const CardRow& row : rows) {
    const int pick = b.pick(std::monostate{}, row.tooltip);
    b.text({card_margin, y + 15}, fit_text(row.name, FontRole::ui_small, name_width), FontRole::ui_small,
           Paint::of(ColorRole::text_2), Anchor::start, pick);
    b.rect({x0, y + 5, x1 - x0, 13}, Paint::of(ColorRole::raised), layer::band, pick).radius = 2;
    const auto bar = [&](double fraction, ColorRole role) {
      if (!(fraction > 0)) return;
      b.rect({x0, y + 5, std::max(1.0, (x1 - x0) * std::min(1.0, fraction)), 13}, Paint::of(role), layer::data, pick)
          .radius = 2;
    };
    bar(row.bar, ColorRole::neutral_bar);
    bar(row.accent, ColorRole::accent);
    const double end = b.width() - card_margin;
    b.text({end - 84, y + 15}, row.left, FontRole::mono, Paint::of(ColorRole::text_1), Anchor::end, pick);
    b.text({end, y + 15}, row.right, FontRole::mono, Paint::of(ColorRole::text_2), Anchor::end, pick);
    y += card_row;
  }
}

double widest_name(const std::vector<CardRow>& rows) {
  double wide = 0;
  for (const CardRow& row : rows) wide = std::max(wide, text_width(row.name, FontRole::ui_small));
  return wide;
}

// "0 to 2, 5, 7 to 60" of ascending numbers.
std::string runs_of(const std::vector<std::size_t>& layers) {
  std::string out;
  for (std::size_t i = 0; i < layers.size();) {
    std::size_t j = i;
    while (j + 1 < layers.size() && layers[j + 1] == layers[j] + 1) ++j;
    out += (out.empty() ? "" : ", ") + std::to_string(layers[i]);
    if (j > i) out += (j > i + 1 ? " to " : ", ") + std::to_string(layers[j]);
    i = j + 1;
  }
  return out;
}

// Layers that are alike in all but their number.
struct LayerGroup {
  std::string words, router;
  bool experts = false;
  std::vector<std::size_t> layers;
};

std::string group_words(const Table& t, std::size_t row) {
  const auto number = [&](const char* name) { return number_at(t, row, find_column(t, name)); };
  const auto text = [&](const char* name) { return text_at(t, row, find_column(t, name)); };
  std::string out;
  if (text("kind") == "experts") {
    out = fmt::format("{} experts, {} per token", format_count(number("experts")), format_count(number("per token")));
    if (number("shared") > 0) out += fmt::format(", {} shared", format_count(number("shared")));
  } else {
    out = "dense";
  }
  return out + fmt::format(", width {} · {}, sees {}", format_count(number("width")), text("mixer"), text("sees"));
}

std::vector<LayerGroup> layer_groups(const Table& t) {
  std::vector<LayerGroup> groups;
  const std::size_t kind = find_column(t, "kind"), router = find_column(t, "router");
  for (std::size_t r = 0; r < t.rows.size(); ++r) {
    const std::string words = group_words(t, r), rule = text_at(t, r, router);
    auto found =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.words == words && g.router == rule; });
    if (found == groups.end()) {
      groups.push_back({words, rule, text_at(t, r, kind) == "experts", {}});
      found = groups.end() - 1;
    }
    found->layers.push_back(r);
  }
  return groups;
}

// Layers with experts take the categorical colours, dense ones the neutral.
Paint group_paint(const std::vector<LayerGroup>& groups, std::size_t index) {
  if (!groups[index].experts) return Paint::of(ColorRole::neutral_bar_2);
  int category = 0;
  for (std::size_t i = 0; i < index; ++i) category += groups[i].experts ? 1 : 0;
  return Paint::of_category(category);
}

bool has_columns(const Table& t, std::initializer_list<const char*> names) {
  return std::all_of(names.begin(), names.end(),
                     [&](const char* name) { return find_column(t, name) != std::string::npos; });
}

}  // namespace

Figure parameter_parts_figure(const ResultPtr& card, double width, double height) {
  const Table* t = card ? find_table(*card, "parts") : nullptr;
  if (t == nullptr || t->rows.empty() || !has_columns(*t, {"part", "in all", "per token"}))
    return message_figure("This model has no known parameters.", width, height, card);
  std::vector<CardRow> rows;
  double most = 0, all = 0, used = 0;
  const auto value = [&](std::size_t r, const char* name) { return number_at(*t, r, find_column(*t, name)); };
  for (std::size_t r = 0; r < t->rows.size(); ++r) {
    most = std::max(most, value(r, "in all"));
    all += value(r, "in all");
    used += value(r, "per token");
  }
  for (std::size_t r = 0; r < t->rows.size(); ++r) {
    const double total = value(r, "in all"), active = value(r, "per token");
    const std::string name = text_at(*t, r, find_column(*t, "part"));
    rows.push_back({name, format_quantity(total), format_quantity(active),
                    fmt::format("{}\n{} parameters, {} of the model\n{} used per token", name, format_count(total),
                                format_percent(all > 0 ? total / all : 0), format_count(active)),
                    most > 0 ? total / most : 0, most > 0 ? active / most : 0});
  }
  FigureBuilder b(width, card_row * static_cast<double>(rows.size()) + 26);
  card_head(b, "Parameters by part", "in all", "per token");
  card_rows(b, rows, 22, std::min(widest_name(rows), width * 0.32));
  return std::move(b).finish(
      "Parameters by part",
      fmt::format("Parameters by part: {} in all, {} per token (in accent).", format_count(all), format_count(used)),
      card);
}

Figure weight_memory_figure(const ResultPtr& card, double width, double height) {
  const Table* stored = card ? find_table(*card, "stored") : nullptr;
  const Table* memory = card ? find_table(*card, "memory") : nullptr;
  if (stored == nullptr || memory == nullptr || !has_columns(*stored, {"type", "tensors", "bytes"}) ||
      !has_columns(*memory, {"computed in", "whole model", "per token"}))
    return message_figure("The sizes of this model are not known.", width, height, card);
  std::vector<CardRow> files, computed;
  double most = 0, sum = 0;
  for (std::size_t r = 0; r < stored->rows.size(); ++r) {
    most = std::max(most, number_at(*stored, r, find_column(*stored, "bytes")));
    sum += number_at(*stored, r, find_column(*stored, "bytes"));
  }
  for (std::size_t r = 0; r < memory->rows.size(); ++r)
    most = std::max(most, number_at(*memory, r, find_column(*memory, "whole model")));
  most = std::max(most, 1.0);
  for (std::size_t r = 0; r < stored->rows.size(); ++r) {
    const double bytes = number_at(*stored, r, find_column(*stored, "bytes"));
    const double tensors = number_at(*stored, r, find_column(*stored, "tensors"));
    const std::string type = text_at(*stored, r, find_column(*stored, "type"));
    files.push_back(
        {type, format_bytes(bytes), format_count(tensors),
         fmt::format("stored as {}\n{} bytes in {} tensors", type, format_count(bytes), format_count(tensors)),
         bytes / most, 0});
  }
  for (std::size_t r = 0; r < memory->rows.size(); ++r) {
    const double whole = number_at(*memory, r, find_column(*memory, "whole model"));
    const double token = number_at(*memory, r, find_column(*memory, "per token"));
    const std::string type = text_at(*memory, r, find_column(*memory, "computed in"));
    computed.push_back(
        {type, format_bytes(whole), format_bytes(token),
         fmt::format("all weights in {}\n{} bytes, {} read per token", type, format_count(whole), format_count(token)),
         whole / most, token / most});
  }
  const double name = std::min(std::max(widest_name(files), widest_name(computed)), width * 0.32);
  const double second = 22 + card_row * static_cast<double>(files.size()) + 16;
  FigureBuilder b(width, second + 22 + card_row * static_cast<double>(computed.size()));
  card_head(b, "Stored in the files", "bytes", "tensors");
  card_rows(b, files, 22, name);
  b.text({card_margin, second + 14}, "Memory to compute in", FontRole::head, Paint::of(ColorRole::text_1));
  b.text({width - card_margin, second + 14}, "per token", FontRole::axis, Paint::of(ColorRole::text_3), Anchor::end);
  b.text({width - card_margin - 84, second + 14}, "whole model", FontRole::axis, Paint::of(ColorRole::text_3),
         Anchor::end);
  card_rows(b, computed, second + 22, name);
  return std::move(b).finish("Memory by type",
                             "Bytes stored by type, " + format_bytes(sum) +
                                 " in all, and the memory of all weights by the type that is computed in.",
                             card);
}

Figure layer_map_figure(const ResultPtr& card, double width, double height) {
  const Table* t = card ? find_table(*card, "layers") : nullptr;
  if (t == nullptr || t->rows.empty() ||
      !has_columns(*t, {"mixer", "sees", "kind", "experts", "per token", "shared", "width", "router"}))
    return message_figure("The layers of this model are not known.", width, height, card);
  const std::vector<LayerGroup> groups = layer_groups(*t);
  constexpr double strip_top = 24, strip_height = 22;
  const double list_top = strip_top + strip_height + 26;
  FigureBuilder b(width, list_top + 38 * static_cast<double>(groups.size()));
  b.text({card_margin, 14}, "Layers", FontRole::head, Paint::of(ColorRole::text_1));
  const auto layers = static_cast<double>(t->rows.size());
  const double step = std::min(44.0, (width - 2 * card_margin) / layers);
  const double gap = step >= 8 ? 2 : step >= 4 ? 1 : 0;
  std::vector<int> picks(t->rows.size(), -1);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const std::size_t l : groups[g].layers) {
      std::string words = fmt::format("layer {}\n{}", l, groups[g].words);
      if (!groups[g].router.empty()) words += "\n" + groups[g].router;
      picks[l] = b.pick(std::monostate{}, std::move(words));
      const double left = std::round(card_margin + static_cast<double>(l) * step);
      const double right = std::round(card_margin + static_cast<double>(l + 1) * step);
      b.rect({left, strip_top, right - left - gap, strip_height}, group_paint(groups, g), layer::data, picks[l]);
    }
  }
  const double label = text_width(std::to_string(t->rows.size() - 1), FontRole::tick) + 8;
  std::size_t stride = 1;
  while (static_cast<double>(stride) * step < label) stride *= 2;
  for (std::size_t l = 0; l < t->rows.size(); l += stride)
    b.text({card_margin + (static_cast<double>(l) + 0.5) * step - gap / 2, strip_top + strip_height + 13},
           std::to_string(l), FontRole::tick, Paint::of(ColorRole::text_2), Anchor::middle);
  double y = list_top;
  for (std::size_t g = 0; g < groups.size(); ++g, y += 38) {
    b.rect({card_margin, y + 4, 10, 10}, group_paint(groups, g));
    const std::string which = fmt::format("{} layer{}: {}", groups[g].layers.size(),
                                          groups[g].layers.size() == 1 ? "" : "s", runs_of(groups[g].layers));
    const double room = width - 2 * card_margin - 20;
    b.text({card_margin + 20, y + 13}, fit_text(groups[g].words, FontRole::ui_small, room), FontRole::ui_small,
           Paint::of(ColorRole::text_1));
    b.text({card_margin + 20, y + 29}, fit_text(which, FontRole::axis, room), FontRole::axis,
           Paint::of(ColorRole::text_3));
  }
  return std::move(b).finish(
      "Layers", fmt::format("{} layers of {} kind{}.", t->rows.size(), groups.size(), groups.size() == 1 ? "" : "s"),
      card);
}

}  // namespace moescope
