#include "core/base/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

namespace moescope {
namespace {

// Cores that a container's CPU quota allows (cgroup v2), or 0 when there is no quota.
int quota_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::lround(std::strtod(quota.c_str(), nullptr) / period)));
}

int from_environment() {
  const char* text = std::getenv("MOESCOPE_THREADS");
  return text ? std::clamp(std::atoi(text), 0, 256) : 0;
}

}  // namespace

void prepare_process_environment() {
  setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("KMP_BLOCKTIME", "0", 0);
}

int usable_cores() {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = std::min(std::max(cores, 1), CPU_COUNT(&set));
  if (const int quota = quota_cores(); quota > 0) cores = std::min(cores, quota);
  return std::max(1, cores);
}

int job_threads() {
  if (const int asked = from_environment(); asked > 0) return asked;
  return std::min(usable_cores(), 16);
}

int engine_threads() {
  if (const int asked = from_environment(); asked > 0) return asked;
  return usable_cores();
}

}  // namespace moescope
