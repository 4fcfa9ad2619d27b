// Shared libraries loaded at run time. Never unloaded: what a module left behind (threads, callbacks) stays valid.
// Any thread.
#pragma once

#include <filesystem>

#include "core/base/error.h"
#include "core/base/export.h"

namespace moescope {

class MOESCOPE_API DynamicLibrary {
 public:
  // Symbols stay local and are bound when first called. Error (module): the loader's own words.
  [[nodiscard]] static Expected<DynamicLibrary> load(const std::filesystem::path& file);
  // Address of a symbol, null when there is none.
  [[nodiscard]] void* symbol(const char* name) const;

 private:
  explicit DynamicLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace moescope
