#include "views_fixture.h"

#include <QElapsedTimer>
#include <QThread>
#include <array>

#include "core/trace/trace_builder.h"
#include "core/trace/trace_file.h"

namespace moescope {
namespace {
constexpr int settle_limit_ms = 60'000;
constexpr std::size_t layers = 4, sequence_tokens = 24;
constexpr std::uint32_t experts = 8;
}  // namespace

Trace planted_trace(std::size_t tokens) {
  TraceBuilder builder(TraceBuilder::plain_rows(layers, experts, 2), 2);
  const std::array<const char*, 2> words_of_code = {" plan", ";\n"};
  const std::array<const char*, 3> words_of_prose = {"The", " harbour", " sky"};
  std::uint32_t state = 7;
  const auto next = [&state](std::uint32_t below) {
    state = state * 1664525U + 1013904223U;
    return (state >> 16U) % below;
  };
  for (std::size_t t = 0; t < tokens; ++t) {
    const auto sequence = static_cast<std::int32_t>(t / sequence_tokens);
    const bool code = sequence % 2 == 1;
    TokenFacts facts;
    facts.id = static_cast<std::int32_t>(code ? t % 2 : 2 + t % 3);
    facts.sequence = sequence;
    facts.position = static_cast<std::int32_t>(t % sequence_tokens);
    builder.token(facts, code ? words_of_code[t % 2] : words_of_prose[t % 3]);
    builder.tag("domain", code ? "code" : "prose");
    builder.token_value("loss", 1.0F + static_cast<float>(next(30)) / 10.0F);
    for (std::size_t row = 0; row < layers; ++row) {
      std::uint32_t first = next(experts);
      if (row == 1 && code) first = 3;
      if (row == 1 && !code && first == 3) first = 4;
      builder.route(row, {first, (first + 1 + next(experts - 1)) % experts}, {0.7F, 0.3F});
    }
  }
  builder.info().model_name = "Planted";
  builder.info().compute_type = "float32";
  return builder.build("planted");
}

WindowFixture::WindowFixture(std::size_t tokens, bool open) {
  WorkbenchOptions options;
  options.settings_folder = folder.path().toStdString();
  options.post_to_main = [](std::function<void()> work) {
    QMetaObject::invokeMethod(qApp, std::move(work), Qt::QueuedConnection);
  };
  bench = std::make_unique<Workbench>(std::move(options));
  window = std::make_unique<MainWindow>(*bench, all_views(), std::filesystem::path());
  window->resize(1200, 800);
  if (!open) return;
  const std::string path = file("planted.routes.safetensors").toStdString();
  const auto written = write_trace(planted_trace(tokens), path);
  if (!written) throw std::runtime_error(written.error().text());
  if (const auto opened = run("source.open", {{"path", path}}); !opened)
    throw std::runtime_error(opened.error().text());
  window->show();
  settle();
}

WindowFixture::~WindowFixture() {
  window.reset();
  bench.reset();
}

QString WindowFixture::file(const char* name) const {
  return folder.filePath(QString::fromLatin1(name));
}

Expected<nlohmann::json> WindowFixture::run(const std::string& id, const nlohmann::json& arguments) {
  return bench->commands().run(id, arguments);
}

void WindowFixture::settle() {
  QElapsedTimer clock;
  clock.start();
  do {
    QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
    if (window->settled()) {
      QCoreApplication::processEvents();
      if (window->settled()) return;
    }
    QThread::msleep(1);
  } while (clock.elapsed() < settle_limit_ms);
}

}  // namespace moescope
