// The sets of kernels there are, each in the file of its name. Not for use outside this folder.
#pragma once

#include "core/analysis/kernels/simd.h"

namespace moescope::kernels {

extern const KernelSet portable_kernels;
#if defined(__x86_64__)
extern const KernelSet avx2_kernels;
extern const KernelSet avx512_kernels;
#endif

}  // namespace moescope::kernels
