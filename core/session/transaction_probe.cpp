#include "core/session/transaction_probe.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/clock.h"

namespace moescope {
namespace {

struct ProbeSettings {
  volatile char* flag = nullptr;
  double delay_ms = 0;

  ProbeSettings() {
    if (const char* delay = std::getenv("MOESCOPE_TEST_TRANSACTION_DELAY_MS")) delay_ms = std::atof(delay);
    const char* path = std::getenv("MOESCOPE_TEST_TRANSACTION_FLAG");
    if (!path) return;
    const int file = ::open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void* page = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (page != MAP_FAILED) flag = static_cast<volatile char*>(page);
  }
};

const ProbeSettings& settings() {
  static const ProbeSettings one;
  return one;
}

}  // namespace

TransactionProbe::TransactionProbe() {
  if (settings().flag) *settings().flag = 1;
}

TransactionProbe::~TransactionProbe() {
  if (settings().flag) *settings().flag = 0;
}

void TransactionProbe::before_commit() const {
  if (settings().delay_ms > 0) sleep_milliseconds(settings().delay_ms);
}

}  // namespace moescope
