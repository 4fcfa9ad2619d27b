// moescope: the desktop program.
#include "app/desktop/program.h"

int main(int argc, char** argv) {
  return moescope::run_desktop(argc, argv);
}
