// Reader of the zip files that torch.save writes (.pt, .pth, .bin): plain data and tensors over the mapped file,
// through the restricted unpickler; nothing is ever run. Called by importers of traces and by checkpoints. Immutable
// after reading; any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/io/mapped_file.h"
#include "core/io/pickle_value.h"

namespace moescope {

struct TorchFile {
  PickleValue root;
  std::shared_ptr<const MappedFile> file;
  // The error of the file having shrunk since, if any.
  [[nodiscard]] std::optional<Error> fault() const { return file->fault(); }
};

// Reads a file. Tensors are views into the mapping. Errors (input): a pickle of the time before zip files, a
// TorchScript archive (a program, not data), no zip archive at all, a broken one, numbers of the other byte order, a
// tensor that is compressed or shorter than it says, and all of unpickle().
[[nodiscard]] MOESCOPE_API Expected<TorchFile> read_torch_file(const std::filesystem::path& path);

}  // namespace moescope
