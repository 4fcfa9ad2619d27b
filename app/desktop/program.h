// The desktop program as a function, so that tests can call its parts. Main thread only.
#pragma once

namespace moescope {

int run_desktop(int argc, char** argv);

}  // namespace moescope
