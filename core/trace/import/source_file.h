// SourceFile: a file that someone wants imported, mapped, with what its bytes say it is. Containers are opened when an
// importer first asks and kept, so that scoring by twenty importers opens each once. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/gguf.h"
#include "core/io/mapped_file.h"
#include "core/io/npy.h"
#include "core/io/safetensors.h"
#include "core/io/torch_file.h"

namespace moescope {

enum class FileKind : std::uint8_t { safetensors, npy, zip, gguf, json, json_lines, text, binary };
[[nodiscard]] const char* file_kind_name(FileKind kind);  // "a NumPy array"

class SourceFile {
 public:
  // Maps the file and looks at its first bytes. Errors (input): missing, not a plain file, empty.
  [[nodiscard]] static Expected<std::shared_ptr<SourceFile>> open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return file_->path(); }
  [[nodiscard]] std::string place() const { return path().string(); }  // for errors
  [[nodiscard]] std::string name() const { return path().filename().string(); }
  [[nodiscard]] const std::shared_ptr<const MappedFile>& mapped() const { return file_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return file_->bytes(); }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes().data()), bytes().size()};
  }
  [[nodiscard]] FileKind kind() const { return kind_; }
  // The first lines of a text (at most 64, each cut at 4 KiB), comments among them.
  [[nodiscard]] const std::vector<std::string>& first_lines() const { return first_lines_; }
  // The first line that is neither empty nor a comment; "" when there is none.
  [[nodiscard]] std::string_view first_line() const;

  // The contents by kind; errors say what is broken. Of the wrong kind: an error, too.
  [[nodiscard]] const Expected<SafetensorsFile>& safetensors();
  [[nodiscard]] const Expected<NpyArray>& npy();
  [[nodiscard]] const Expected<std::vector<NpyArray>>& npz();  // of a zip archive
  [[nodiscard]] const Expected<TorchFile>& torch();            // of a zip archive
  [[nodiscard]] const Expected<GgufFile>& gguf();
  [[nodiscard]] const Expected<nlohmann::json>& json();
  // The first object of JSON lines, or the whole of a JSON file.
  [[nodiscard]] const Expected<nlohmann::json>& first_json();

 private:
  explicit SourceFile(std::shared_ptr<const MappedFile> file);
  void sniff();
  std::shared_ptr<const MappedFile> file_;
  FileKind kind_ = FileKind::binary;
  std::vector<std::string> first_lines_;
  std::optional<Expected<SafetensorsFile>> safetensors_;
  std::optional<Expected<NpyArray>> npy_;
  std::optional<Expected<std::vector<NpyArray>>> npz_;
  std::optional<Expected<TorchFile>> torch_;
  std::optional<Expected<GgufFile>> gguf_;
  std::optional<Expected<nlohmann::json>> json_, first_json_;
};

// Calls `use(object, line number)` for every line of JSON lines. The text may end in the middle of a line: what came
// before is kept and `note` says where it broke. Errors: of `use`; input when the first line is broken already;
// cancelled by `use` through its own context.
[[nodiscard]] Expected<void> each_json_line(
    const SourceFile& file, std::string& note,
    const std::function<Expected<void>(const nlohmann::json&, std::size_t)>& use);

}  // namespace moescope
