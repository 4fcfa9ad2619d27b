// Child processes: start, lines in and out, why one ended. Used by the engine's worker client. One thread at a time per
// object; kill() may come from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

// How a process ended.
struct ProcessExit {
  int code = 0;                // exit code, when `signal` is 0
  int signal = 0;              // the signal that ended it
  bool out_of_memory = false;  // the kernel counted an out-of-memory kill while it ran
  // "was killed by signal 9 (Killed): the system ran out of memory", "ended with exit code 3".
  [[nodiscard]] MOESCOPE_API std::string words() const;
};

class MOESCOPE_API ChildProcess {
 public:
  // Starts `program` with `arguments` (without the program's own name). Its standard input and output are a stream of
  // lines to this object; the last lines of its standard error are kept. Error (module): why it could not be started.
  [[nodiscard]] static Expected<std::unique_ptr<ChildProcess>> start(const std::filesystem::path& program,
                                                                     const std::vector<std::string>& arguments);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  // Closes its input, gives it a moment to end, then kills it. Leaves no zombie.
  ~ChildProcess();

  // Sends a line; false when the process no longer listens. Keeps receiving meanwhile, so two full pipes cannot lock.
  [[nodiscard]] bool send(std::string_view line);
  // The next line it wrote, or nothing: after `timeout`, or because it ended (see ended()).
  [[nodiscard]] std::optional<std::string> receive(std::chrono::milliseconds timeout);
  // True once its output is closed and everything in it was received.
  [[nodiscard]] bool ended() const;
  // Waits for the end and tells how it came.
  [[nodiscard]] ProcessExit wait();
  // Ends it at once (signal 9).
  void kill();
  [[nodiscard]] int id() const;
  // Its last lines of standard error, oldest first, at most 20.
  [[nodiscard]] std::vector<std::string> last_errors();

 private:
  struct State;
  explicit ChildProcess(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Folder of the running program, and of the shared library that core is in.
[[nodiscard]] MOESCOPE_API std::filesystem::path program_folder();
[[nodiscard]] MOESCOPE_API std::filesystem::path core_library_folder();

// Memory that can be had without pushing others out, in bytes; 0 where the system does not tell.
[[nodiscard]] MOESCOPE_API std::uint64_t available_memory_bytes();
// Folder for what can be made again: $XDG_CACHE_HOME/moescope or ~/.cache/moescope; empty where neither is known.
[[nodiscard]] MOESCOPE_API std::filesystem::path user_cache_folder();

// Peak resident memory of this process, in bytes.
[[nodiscard]] MOESCOPE_API std::uint64_t peak_resident_bytes();

}  // namespace moescope
