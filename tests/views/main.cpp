// The tests of widgets need an application; without a display it is Qt's offscreen one.
#include <gtest/gtest.h>

#include <QApplication>

#include "core/base/threads.h"
#include "views/common/theme.h"

int main(int argc, char** argv) {
  moescope::prepare_process_environment();
  if (qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) qputenv("QT_QPA_PLATFORM", "offscreen");
  QApplication app(argc, argv);
  moescope::apply_theme(moescope::ThemeChoice::dark);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
