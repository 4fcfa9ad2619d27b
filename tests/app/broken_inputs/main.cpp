// make_broken_inputs FOLDER: writes the ten and prints their paths, one per line, for scripts that open them.
#include <cstdio>

#include "tests/app/broken_inputs/broken_inputs.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_broken_inputs FOLDER\n", stderr);
    return 1;
  }
  for (const auto& input : moescope::test::make_broken_inputs(argv[1])) std::printf("%s\n", input.path.c_str());
  return 0;
}
