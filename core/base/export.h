// Marks what core's shared library shows to the rest of the program; everything else stays hidden.
// Used on every class with out-of-line members and every free function that another library calls.
#pragma once

#if defined(_WIN32)
#if defined(MOESCOPE_CORE_BUILD)
#define MOESCOPE_API __declspec(dllexport)
#else
#define MOESCOPE_API __declspec(dllimport)
#endif
#else
#define MOESCOPE_API __attribute__((visibility("default")))
#endif
