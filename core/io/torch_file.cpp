#include "core/io/torch_file.h"

#include <fmt/format.h>

#include "core/io/unpickler.h"
#include "core/io/zip_directory.h"

namespace moescope {
namespace {

constexpr std::uint64_t small_record = 4096;
constexpr const char* pickle_name = "data.pkl";

Unexpected problem(const ZipDirectory& zip, std::string what, std::string advice) {
  return fail(ErrorKind::input, std::move(what), zip.file->path().string(), std::move(advice));
}

// The archive's one top folder, with its slash: that of NAME/data.pkl.
Expected<std::string> top_folder(const ZipDirectory& zip) {
  std::string top;
  for (const ZipEntry& entry : zip.entries) {
    const std::size_t slash = entry.name.find('/');
    if (slash == std::string::npos || entry.name.substr(slash + 1) != pickle_name) continue;
    if (!top.empty()) return problem(zip, "the archive has several data.pkl", "Copy or download the file again");
    top = entry.name.substr(0, slash + 1);
  }
  if (top.empty()) {
    return problem(zip, "the zip archive has no data.pkl, so torch.save did not write it",
                   "Check that this is the right file");
  }
  return top;
}

Expected<void> check_byte_order(const ZipDirectory& zip, const std::string& top) {
  const ZipEntry* const entry = zip.find(top + "byteorder");
  if (entry == nullptr) return {};
  const auto record = zip.read(*entry, small_record);
  if (!record) return fail(record.error());
  const std::string_view order(reinterpret_cast<const char*>(record->bytes.data()), record->bytes.size());
  if (order == "little") return {};
  return problem(zip, "the file was written on a big-endian machine", "Save it again on a little-endian one");
}

Expected<PickleStorage> storage_of(const ZipDirectory& zip, const std::string& top, const std::string& key,
                                   std::uint64_t bytes) {
  const std::string name = top + "data/" + key;
  const std::string where = fmt::format("{}, entry '{}'", zip.file->path().string(), name);
  const ZipEntry* const entry = zip.find(name);
  if (entry == nullptr) {
    return fail(ErrorKind::input, "the archive has no record of a tensor's storage", where,
                "Copy or download the file again");
  }
  if (entry->deflated) {
    return fail(ErrorKind::input, "a tensor's record is compressed, so it cannot be mapped", where,
                "Save the file with torch.save again");
  }
  if (entry->size < bytes) {
    return fail(ErrorKind::input, fmt::format("a tensor's record has {} bytes where {} are needed", entry->size, bytes),
                where, "Copy or download the file again");
  }
  auto record = zip.read(*entry, 0);
  if (!record) return fail(record.error());
  return PickleStorage{record->bytes, std::move(record->owner), zip.file->path().string(), entry->offset};
}

}  // namespace

Expected<TorchFile> read_torch_file(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return fail(file.error());
  const auto bytes = (*file)->bytes();
  if (!bytes.empty() && static_cast<std::uint8_t>(bytes[0]) == 0x80) {
    return fail(ErrorKind::input, "this is a bare Python pickle, as torch.save wrote them before version 1.6",
                path.string(), "Load it with a trusted torch and save it again with a current torch.save");
  }
  if (!looks_like_zip(bytes)) {
    return fail(ErrorKind::input, "this is not a file of torch.save: it does not begin as a zip archive", path.string(),
                "Check that this is the right file");
  }
  const auto zip = read_zip_directory(std::move(*file));
  if (!zip) return fail(zip.error());
  const auto top = top_folder(*zip);
  if (!top) return fail(top.error());
  const std::string code = *top + "code/";
  for (const ZipEntry& entry : zip->entries) {
    if (entry.name.starts_with(code)) {
      return problem(*zip, "this is a TorchScript archive: a program, not data",
                     "Ask for it to be run as TorchScript if you trust it, or save its state dict");
    }
  }
  if (auto order = check_byte_order(*zip, *top); !order) return fail(order.error());
  const ZipEntry& entry = *zip->find(*top + pickle_name);
  const auto pickle = zip->read(entry, pickle_limit::bytes);
  if (!pickle) return fail(pickle.error());
  auto root = unpickle(pickle->bytes, fmt::format("{}, {}", path.string(), entry.name),
                       [&](const std::string& key, std::uint64_t size) { return storage_of(*zip, *top, key, size); });
  if (!root) return fail(root.error());
  TorchFile out{std::move(*root), zip->file};
  if (auto lost = out.fault()) return fail(*lost);
  return out;
}

}  // namespace moescope
