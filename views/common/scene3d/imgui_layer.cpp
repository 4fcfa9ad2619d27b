#include "views/common/scene3d/imgui_layer.h"

#include <imgui.h>
#include <imgui_impl_opengl3.h>

#include <QDirIterator>
#include <QStandardPaths>
#include <algorithm>

namespace moescope {
namespace {

// ImGui works on one current context per thread of the program; this makes ours current for a scope.
class ContextScope {
 public:
  explicit ContextScope(ImGuiContext* context) : before_(ImGui::GetCurrentContext()) {
    ImGui::SetCurrentContext(context);
  }
  ~ContextScope() { ImGui::SetCurrentContext(before_); }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  ImGuiContext* before_;
};

QString font_file(const QString& name) {
  for (const QString& folder : QStandardPaths::standardLocations(QStandardPaths::FontsLocation) +
                                   QStringList{QStringLiteral("/usr/share/fonts")}) {
    QDirIterator files(folder, {name}, QDir::Files, QDirIterator::Subdirectories);
    if (files.hasNext()) return files.next();
  }
  return {};
}

ImVec4 color(ColorRole role, Theme theme, float alpha = 1.0F) {
  const Rgb c = resolve(Paint::of(role), theme);
  return {static_cast<float>(c.r) / 255.0F, static_cast<float>(c.g) / 255.0F, static_cast<float>(c.b) / 255.0F, alpha};
}

void apply_style(Theme theme) {
  ImGuiStyle& style = ImGui::GetStyle();
  style = ImGuiStyle();
  style.WindowRounding = 3;
  style.FrameRounding = 3;
  style.GrabRounding = 3;
  style.PopupRounding = 3;
  style.WindowBorderSize = 1;
  style.FrameBorderSize = theme == Theme::light ? 1.0F : 0.0F;
  style.WindowPadding = {12, 10};
  style.FramePadding = {8, 4};
  style.ItemSpacing = {8, 6};
  style.ItemInnerSpacing = {8, 4};
  style.GrabMinSize = 12;
  ImVec4* colors = style.Colors;
  colors[ImGuiCol_Text] = color(ColorRole::text_1, theme);
  colors[ImGuiCol_TextDisabled] = color(ColorRole::text_3, theme);
  colors[ImGuiCol_WindowBg] = color(ColorRole::panel, theme, 0.96F);
  colors[ImGuiCol_PopupBg] = color(ColorRole::raised, theme);
  colors[ImGuiCol_Border] = color(ColorRole::control_border, theme);
  colors[ImGuiCol_FrameBg] = color(ColorRole::raised, theme);
  colors[ImGuiCol_FrameBgHovered] = color(ColorRole::line, theme);
  colors[ImGuiCol_FrameBgActive] = color(ColorRole::line, theme);
  colors[ImGuiCol_TitleBg] = color(ColorRole::accent_wash, theme);
  colors[ImGuiCol_TitleBgActive] = color(ColorRole::accent_wash, theme);
  colors[ImGuiCol_TitleBgCollapsed] = color(ColorRole::accent_wash, theme, 0.9F);
  colors[ImGuiCol_CheckMark] = color(ColorRole::accent, theme);
  colors[ImGuiCol_SliderGrab] = color(ColorRole::accent, theme, 0.55F);
  colors[ImGuiCol_SliderGrabActive] = color(ColorRole::accent, theme);
  colors[ImGuiCol_Button] = color(ColorRole::accent_wash, theme);
  colors[ImGuiCol_ButtonHovered] = color(ColorRole::accent, theme, 0.45F);
  colors[ImGuiCol_ButtonActive] = color(ColorRole::accent, theme, 0.7F);
  colors[ImGuiCol_Header] = color(ColorRole::accent_wash, theme);
  colors[ImGuiCol_HeaderHovered] = color(ColorRole::accent_wash, theme);
  colors[ImGuiCol_HeaderActive] = color(ColorRole::accent_wash, theme);
  colors[ImGuiCol_Separator] = color(ColorRole::line, theme);
  colors[ImGuiCol_PlotHistogram] = color(ColorRole::accent, theme);
}

// ImGui's key for one of Qt's, -1 for those that its widgets do not use. Both Enter keys are one.
int imgui_key(int qt_key) {
  switch (qt_key) {
    case Qt::Key_Backspace:
      return ImGuiKey_Backspace;
    case Qt::Key_Delete:
      return ImGuiKey_Delete;
    case Qt::Key_Left:
      return ImGuiKey_LeftArrow;
    case Qt::Key_Right:
      return ImGuiKey_RightArrow;
    case Qt::Key_Home:
      return ImGuiKey_Home;
    case Qt::Key_End:
      return ImGuiKey_End;
    case Qt::Key_Return:
    case Qt::Key_Enter:
      return ImGuiKey_Enter;
    case Qt::Key_Escape:
      return ImGuiKey_Escape;
    case Qt::Key_Tab:
      return ImGuiKey_Tab;
    default:
      return -1;
  }
}

}  // namespace

ImGuiLayer::ImGuiLayer() {
  ImGuiContext* before = ImGui::GetCurrentContext();
  context_ = ImGui::CreateContext();
  const ContextScope scope(context_);
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.LogFilename = nullptr;
  io.MousePos = {-1.0e6F, -1.0e6F};
#if IMGUI_VERSION_NUM < 18700
  for (int k = 0; k < ImGuiKey_COUNT; ++k) io.KeyMap[k] = k;
#endif
  ImGui::SetCurrentContext(before);
}

ImGuiLayer::~ImGuiLayer() {
  ImGui::DestroyContext(context_);
}

void ImGuiLayer::start(Theme theme, double pixel_ratio) {
  const ContextScope scope(context_);
  ImGuiIO& io = ImGui::GetIO();
  io.Fonts->Clear();
  const QString file = font_file(QStringLiteral("JetBrainsMono-Regular.ttf"));
  // Latin, arrows, middle dot, ellipsis and comparison signs: what labels use.
  static const ImWchar ranges[] = {0x0020, 0x00FF, 0x2013, 0x2026, 0x2190, 0x2193, 0x2264, 0x2265, 0};
  const float size = 13.0F * static_cast<float>(pixel_ratio);
  if (file.isEmpty() || !io.Fonts->AddFontFromFileTTF(file.toUtf8().constData(), size, nullptr, ranges)) {
    io.Fonts->AddFontDefault();
  }
  io.FontGlobalScale = 1.0F / static_cast<float>(pixel_ratio);
  apply_style(theme);
  started_ = ImGui_ImplOpenGL3_Init("#version 150");
}

void ImGuiLayer::stop() {
  if (!started_) return;
  const ContextScope scope(context_);
  ImGui_ImplOpenGL3_Shutdown();
  started_ = false;
}

void ImGuiLayer::set_theme(Theme theme) {
  const ContextScope scope(context_);
  apply_style(theme);
}

void ImGuiLayer::frame(double width, double height, double pixel_ratio, double seconds,
                       const std::function<void()>& draw) {
  if (!started_) return;
  const ContextScope scope(context_);
  ImGuiIO& io = ImGui::GetIO();
  io.DisplaySize = {static_cast<float>(width), static_cast<float>(height)};
  io.DisplayFramebufferScale = {static_cast<float>(pixel_ratio), static_cast<float>(pixel_ratio)};
  io.DeltaTime = static_cast<float>(std::clamp(seconds, 1e-4, 0.5));
#if IMGUI_VERSION_NUM < 18700
  for (int b = 0; b < 3; ++b) {
    io.MouseDown[b] = down_[b] || latched_[b];
    latched_[b] = false;
  }
#endif
  ImGui_ImplOpenGL3_NewFrame();
  ImGui::NewFrame();
  draw();
  ImGui::Render();
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
}

void ImGuiLayer::mouse_moved(double x, double y) {
  const ContextScope scope(context_);
#if IMGUI_VERSION_NUM < 18700
  ImGui::GetIO().MousePos = {static_cast<float>(x), static_cast<float>(y)};
#else
  ImGui::GetIO().AddMousePosEvent(static_cast<float>(x), static_cast<float>(y));
#endif
}

void ImGuiLayer::mouse_left() {
  mouse_moved(-1.0e6, -1.0e6);
}

void ImGuiLayer::mouse_button(int button, bool down) {
  if (button < 0 || button > 2) return;
  down_[button] = down;
  if (down) latched_[button] = true;
#if IMGUI_VERSION_NUM >= 18700
  const ContextScope scope(context_);
  ImGui::GetIO().AddMouseButtonEvent(button, down);
#endif
}

void ImGuiLayer::wheel(double steps) {
  const ContextScope scope(context_);
#if IMGUI_VERSION_NUM < 18700
  ImGui::GetIO().MouseWheel += static_cast<float>(steps);
#else
  ImGui::GetIO().AddMouseWheelEvent(0.0F, static_cast<float>(steps));
#endif
}

void ImGuiLayer::key_text(const QString& text) {
  const ContextScope scope(context_);
  ImGui::GetIO().AddInputCharactersUTF8(text.toUtf8().constData());
}

void ImGuiLayer::key(int qt_key, bool down, bool ctrl, bool shift, bool alt) {
  const ContextScope scope(context_);
  ImGuiIO& io = ImGui::GetIO();
#if IMGUI_VERSION_NUM < 18700
  io.KeyCtrl = ctrl;
  io.KeyShift = shift;
  io.KeyAlt = alt;
  if (const int k = imgui_key(qt_key); k >= 0) io.KeysDown[k] = down;
#else
  io.AddKeyEvent(ImGuiMod_Ctrl, ctrl);
  io.AddKeyEvent(ImGuiMod_Shift, shift);
  io.AddKeyEvent(ImGuiMod_Alt, alt);
  if (const int k = imgui_key(qt_key); k >= 0) io.AddKeyEvent(static_cast<ImGuiKey>(k), down);
#endif
}

bool ImGuiLayer::wants_mouse() const {
  const ContextScope scope(context_);
  return ImGui::GetIO().WantCaptureMouse;
}

bool ImGuiLayer::wants_keyboard() const {
  const ContextScope scope(context_);
  return ImGui::GetIO().WantCaptureKeyboard;
}

}  // namespace moescope
