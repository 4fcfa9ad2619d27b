// Opening the traces of other tools by dropping or choosing them.
#include "views/shell/open_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QApplication>
#include <QDialog>
#include <QRadioButton>
#include <QTimer>
#include <fstream>

#include "core/io/npy.h"
#include "views_fixture.h"

namespace moescope {
namespace {

// An array that may be a table of counts or a trace of single experts.
void write_ambiguous(const QString& path) {
  const std::vector<std::int32_t> values{1, 2, 3, 0, 0, 1, 2, 3, 3, 2, 1, 0};
  const std::vector<std::uint64_t> shape{3, 4};
  const std::string header = npy_header(DType::i32, shape);
  std::ofstream file(path.toStdString(), std::ios::binary);
  file << header;
  file.write(reinterpret_cast<const char*>(values.data()), 48);
}

// Answers the question of the format, once it is shown: the choice with this text, or a cancel.
void answer(const QString& choice) {
  QTimer::singleShot(50, qApp, [choice] {
    auto* dialog = qobject_cast<QDialog*>(QApplication::activeModalWidget());
    ASSERT_NE(dialog, nullptr);
    EXPECT_EQ(dialog->objectName(), QStringLiteral("choose_format"));
    bool found = false;
    for (auto* button : dialog->findChildren<QRadioButton*>()) {
      if (button->text() == choice) button->setChecked(true);
      found = found || button->text() == choice;
    }
    found ? dialog->accept() : dialog->reject();
  });
}

TEST(OpenSource, AnAmbiguousFileAsksAndACancelOpensNothing) {
  WindowFixture f(0, false);
  f.window->show();
  const QString path = f.file("a.npy");
  write_ambiguous(path);
  answer(QStringLiteral("none of them"));
  EXPECT_FALSE(open_source(f.window->context(), f.window.get(), path));
  EXPECT_EQ(f.bench->active_trace(), nullptr);
  answer(QStringLiteral("ExFlow trace"));
  EXPECT_TRUE(open_source(f.window->context(), f.window.get(), path));
  f.settle();
  ASSERT_NE(f.bench->active_trace(), nullptr);
  EXPECT_EQ(f.bench->active_trace()->trace->token_count(), 3U);
}

TEST(OpenSource, AForeignTraceOpensWithoutAsking) {
  WindowFixture f(0, false);
  f.window->show();
  const QString path = f.file("t.jsonl");
  std::ofstream(path.toStdString()) << "{\"layer\":0,\"token\":0,\"experts\":[5,2]}\n"
                                       "{\"layer\":1,\"token\":0,\"experts\":[1,0]}\n";
  f.window->open_paths({path});
  f.settle();
  ASSERT_NE(f.bench->active_trace(), nullptr);
  EXPECT_EQ(f.bench->active_trace()->trace->rows().size(), 2U);
}

}  // namespace
}  // namespace moescope
