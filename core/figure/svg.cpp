// SVG writer: one element per mark, colours resolved in the theme, fonts as CSS families with fallbacks.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>

#include "core/figure/figure.h"
#include "core/figure/utf8.h"

namespace moescope {
namespace {

constexpr const char* ui_families = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";
constexpr const char* mono_families = "'JetBrains Mono', 'DejaVu Sans Mono', Consolas, monospace";
// With more picks than this, tooltips would outweigh the picture.
constexpr std::size_t most_titles = 2500;

// Two decimals without trailing zeros: enough below a tenth of a pixel.
std::string num(double v) {
  if (!std::isfinite(v)) return "0";
  std::string s = fmt::format("{:.2f}", v);
  s.erase(s.find_last_not_of('0') + 1);
  if (s.back() == '.') s.pop_back();
  return s == "-0" ? "0" : s;
}

bool visible(const Paint& paint) {
  return (paint.kind != Paint::Kind::role || paint.role != ColorRole::none) && paint.alpha > 0;
}

class SvgWriter {
 public:
  SvgWriter(const Figure& figure, Theme theme) : figure_(figure), theme_(theme) {}

  std::string write(bool standalone) {
    for (const Mark& mark : figure_.marks) {
      const bool titled = mark.pick >= 0 && static_cast<std::size_t>(mark.pick) < figure_.picks.size() &&
                          figure_.picks.size() <= most_titles;
      title_ = titled
                   ? "<title>" + escape_markup(figure_.picks[static_cast<std::size_t>(mark.pick)].tooltip) + "</title>"
                   : std::string();
      std::visit([this](const auto& shape) { draw(shape); }, mark.shape);
    }
    return head(standalone) + body_ + "</svg>" + (standalone ? "\n" : "");
  }

 private:
  std::string head(bool standalone) const {
    std::string out = standalone ? "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" : "";
    out += fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\"",
        num(figure_.width), num(figure_.height));
    const std::string label = figure_.title.empty() ? figure_.caption : figure_.title;
    out += fmt::format(" aria-label=\"{}\" font-family=\"{}\">", escape_markup(label), ui_families);
    if (standalone && !figure_.title.empty()) out += "<title>" + escape_markup(figure_.title) + "</title>";
    if (standalone && !figure_.caption.empty()) out += "<desc>" + escape_markup(figure_.caption) + "</desc>";
    if (hatched_) {
      out += fmt::format(
          "<defs><pattern id=\"{}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
          "patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke=\"{}\" stroke-width=\"2\"/>"
          "</pattern></defs>",
          hatch_id(), color(Paint::of(ColorRole::line)));
    }
    if (standalone)
      out += fmt::format("<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>", color(Paint::of(ColorRole::panel)));
    return out;
  }

  // Several figures may share one HTML page, where an id must be unique.
  std::string hatch_id() const {
    std::uint32_t h = 2166136261U;
    for (const char c : figure_.title + figure_.caption + num(figure_.width) + num(figure_.height) +
                            num(static_cast<double>(figure_.marks.size())))
      h = (h ^ static_cast<std::uint8_t>(c)) * 16777619U;
    return fmt::format("hatch-{:08x}-{}", h, theme_ == Theme::dark ? "d" : "l");
  }

  std::string color(const Paint& paint) const {
    const Rgb c = resolve(paint, theme_);
    return fmt::format("#{:02x}{:02x}{:02x}", c.r, c.g, c.b);
  }
  std::string fill(const Paint& paint) const {
    if (!visible(paint)) return " fill=\"none\"";
    std::string out = fmt::format(" fill=\"{}\"", color(paint));
    if (paint.alpha < 1) out += fmt::format(" fill-opacity=\"{}\"", num(paint.alpha));
    return out;
  }
  std::string stroke(const Paint& paint, double width) const {
    if (!visible(paint) || width <= 0) return {};
    std::string out = fmt::format(" stroke=\"{}\"", color(paint));
    if (width != 1) out += fmt::format(" stroke-width=\"{}\"", num(width));
    if (paint.alpha < 1) out += fmt::format(" stroke-opacity=\"{}\"", num(paint.alpha));
    return out;
  }
  void element(const std::string& name, const std::string& attributes, const std::string& content = {}) {
    if (title_.empty() && content.empty()) {
      fmt::format_to(std::back_inserter(body_), "<{}{}/>", name, attributes);
    } else {
      fmt::format_to(std::back_inserter(body_), "<{0}{1}>{2}{3}</{0}>", name, attributes, title_, content);
    }
  }

  void draw(const RectMark& m) {
    const std::string box = fmt::format(" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}", num(m.x), num(m.y),
                                        num(std::max(0.0, m.width)), num(std::max(0.0, m.height)),
                                        m.radius > 0 ? fmt::format(" rx=\"{}\"", num(m.radius)) : std::string());
    // A rectangle that only carries a pick still answers to the pointer.
    if (visible(m.fill) || visible(m.stroke) || !m.hatched)
      element("rect", box + fill(m.fill) + stroke(m.stroke, m.stroke_width) +
                          (!visible(m.fill) && !title_.empty() ? " pointer-events=\"all\"" : ""));
    if (m.hatched) {
      hatched_ = true;
      element("rect", box + fmt::format(" fill=\"url(#{})\"", hatch_id()));
    }
  }

  void draw(const LineMark& m) {
    if (m.points.size() < 2) return;
    std::string path;
    for (const Point& p : m.points)
      fmt::format_to(std::back_inserter(path), "{}{} {}", path.empty() ? "M" : "L", num(p.x), num(p.y));
    if (m.closed) path += "Z";
    std::string dash;
    for (const double d : m.dash) dash += (dash.empty() ? "" : " ") + num(d);
    element("path", fmt::format(" d=\"{}\"", path) + fill(m.fill) + stroke(m.stroke, m.width) +
                        (dash.empty() ? "" : fmt::format(" stroke-dasharray=\"{}\"", dash)) +
                        (m.points.size() > 2 && !m.closed ? " stroke-linejoin=\"round\"" : ""));
  }

  void draw(const CurveMark& m) {
    const auto& q = m.points;
    element("path", fmt::format(" d=\"M{} {}C{} {} {} {} {} {}\" fill=\"none\"", num(q[0].x), num(q[0].y), num(q[1].x),
                                num(q[1].y), num(q[2].x), num(q[2].y), num(q[3].x), num(q[3].y)) +
                        stroke(m.stroke, m.width));
  }

  void draw(const CircleMark& m) {
    element("circle", fmt::format(" cx=\"{}\" cy=\"{}\" r=\"{}\"", num(m.center.x), num(m.center.y), num(m.radius)) +
                          fill(m.fill) + stroke(m.stroke, m.stroke_width));
  }

  void draw(const TextMark& m) {
    const FontSpec font = font_spec(m.font);
    std::string a = fmt::format(" x=\"{}\" y=\"{}\" font-size=\"{}\"", num(m.at.x), num(m.at.y), num(font.size));
    if (font.mono) a += fmt::format(" font-family=\"{}\"", mono_families);
    if (m.bold || font.weight >= 600) a += " font-weight=\"600\"";
    if (m.anchor != Anchor::start)
      a += fmt::format(" text-anchor=\"{}\"", m.anchor == Anchor::middle ? "middle" : "end");
    if (m.angle != 0) a += fmt::format(" transform=\"rotate({} {} {})\"", num(-m.angle), num(m.at.x), num(m.at.y));
    // Runs of spaces are kept: tokens are made of them.
    if (m.text.find("  ") != std::string::npos) a += " xml:space=\"preserve\"";
    element("text", a + fill(m.fill), escape_markup(m.text));
  }

  const Figure& figure_;
  Theme theme_;
  std::string title_, body_;
  bool hatched_ = false;
};

}  // namespace

std::string figure_to_svg(const Figure& figure, Theme theme, bool standalone) {
  return SvgWriter(figure, theme).write(standalone);
}

}  // namespace moescope
