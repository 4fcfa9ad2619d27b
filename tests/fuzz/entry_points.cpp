#include "tests/fuzz/entry_points.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/io/csv.h"
#include "core/io/gguf.h"
#include "core/io/npy.h"
#include "core/io/safetensors.h"
#include "core/io/tensor_decode.h"
#include "core/io/torch_file.h"
#include "core/io/unpickler.h"
#include "core/model/checkpoint.h"
#include "core/model/tokenizer.h"
#include "core/trace/import/importer.h"

namespace moescope::fuzz {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// A file that exists in memory only.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "a file in memory can be made");
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto written = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
      require(written > 0, "a file in memory can be written");
      done += static_cast<std::size_t>(written);
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// Every error says what and where.
template <typename T>
bool fine(const Expected<T>& outcome) {
  if (outcome) return true;
  require(!outcome.error().what.empty(), "an error says what is wrong");
  return false;
}

unsigned touched = 0;  // keeps reads from being removed

void walk(const TensorView& view) {
  if (!view.bytes.empty()) {
    touched += static_cast<unsigned>(view.bytes.front()) + static_cast<unsigned>(view.bytes.back());
  }
  std::vector<float> values(300);
  for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{300}}) {
    if (view.elements() >= count && can_decode(view.type)) {
      const auto front = std::span(values).first(static_cast<std::size_t>(count));
      const bool decoded = decode_tensor(view, view.elements() - count, front).has_value();
      require(decoded, "the end of a whole tensor can be decoded");
    }
  }
}

void walk(const PickleValue& value) {
  if (const PickleList* list = value.list()) {
    for (const PickleValue& item : *list) walk(item);
  } else if (const PickleDict* dict = value.dict()) {
    for (const auto& [key, item] : *dict) {
      walk(key);
      walk(item);
    }
  } else if (const StridedTensor* tensor = value.tensor()) {
    constexpr std::uint64_t limit = 1U << 20U;
    if (fine(contiguous_bytes(*tensor, limit))) {
      (void)contiguous_floats(*tensor, limit);
      (void)contiguous_integers(*tensor, limit);
    }
  }
}

}  // namespace

void read_safetensors_file(std::span<const std::byte> bytes) {
  const MemoryFile file(bytes);
  for (const Truncation truncation : {Truncation::refused, Truncation::allowed}) {
    const auto read = read_safetensors(file.path(), truncation);
    if (!fine(read)) continue;
    for (const TensorView& view : read->tensors) {
      require(read->find(view.name) == &view, "a tensor is found by its name");
      if (truncation == Truncation::refused) walk(view);
    }
  }
}

void read_gguf_file(std::span<const std::byte> bytes) {
  const MemoryFile file(bytes);
  const auto read = read_gguf(file.path());
  if (!fine(read)) return;
  for (const TensorView& view : read->tensors) walk(view);
  (void)fine(Checkpoint::open(file.path()));
}

void read_torch_zip(std::span<const std::byte> bytes) {
  const MemoryFile file(bytes);
  const auto read = read_torch_file(file.path());
  if (fine(read)) walk(read->root);
}

void read_pickle(std::span<const std::byte> bytes) {
  static const std::vector<std::byte> storage(64, std::byte{1});
  const auto read = unpickle(bytes, "pickle", [](const std::string&, std::uint64_t size) -> Expected<PickleStorage> {
    if (size > storage.size()) return fail(ErrorKind::input, "the storage is too small", "storage");
    return PickleStorage{storage, nullptr, "storage", 0};
  });
  if (fine(read)) walk(*read);
}

void read_config(std::span<const std::byte> bytes) {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("moescope-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    // A file without tensors, so that what the config asks for is looked up.
    std::ofstream(path / "model.safetensors", std::ios::binary) << std::string("\2\0\0\0\0\0\0\0{}", 10);
    return path;
  }();
  std::ofstream(folder / "config.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  require(!fine(Checkpoint::open(folder)), "a config without weights is no checkpoint");
}

void read_tokenizer(std::span<const std::byte> bytes) {
  const MemoryFile file(bytes);
  const auto tokenizer = load_tokenizer(file.path());
  if (!fine(tokenizer)) return;
  const std::string text = "hello world  It's 123 \xC3\xA9\xF0\x9F\x98\x80\xFF\n<s></s><|endoftext|>";
  for (const bool special : {false, true}) {
    const auto encoding = (*tokenizer)->encode(text, special);
    if (!fine(encoding)) continue;
    require(encoding->ids.size() == encoding->tokens.size() && encoding->ids.size() == encoding->bytes.size(),
            "every token has a text and a place");
    for (const auto& [begin, end] : encoding->bytes) {
      require(begin <= end && end <= text.size(), "a token lies inside the text");
    }
    touched += static_cast<unsigned>((*tokenizer)->decode(encoding->ids, special).size());
  }
  const std::vector<std::int32_t> odd{-1, 0, 1, 2, 255, 256, 2147483647};
  touched += static_cast<unsigned>((*tokenizer)->decode(odd, true).size());
  for (const std::int32_t id : odd) touched += static_cast<unsigned>((*tokenizer)->token_bytes(id).size());
}

namespace {

// Imports a file; a trace that comes out has ids that are experts.
void import_bytes(std::span<const std::byte> bytes, const std::string& format) {
  const MemoryFile file(bytes);
  ImportOptions options;
  options.format = format;
  options.k = 2;
  const auto trace = import_trace({file.path()}, options);
  if (!fine(trace)) return;
  require(check_ids(*trace).has_value(), "the ids of an imported trace are experts");
  for (const auto& segment : trace->segments) {
    for (std::size_t t = 0; t < segment->tokens && segment->slots > 0; t += 97) touched += segment->used_at(0, t);
  }
}

}  // namespace

void import_trace_file(std::span<const std::byte> bytes) {
  import_bytes(bytes, "");
}

void import_trace_as(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const auto all = importers();
  import_bytes(bytes.subspan(1), all[std::to_integer<std::size_t>(bytes.front()) % all.size()].name);
}

void read_npy_array(std::span<const std::byte> bytes) {
  const auto array = read_npy(bytes, nullptr, "array");
  if (fine(array)) walk(array->tensor);
}

void read_csv_table(std::span<const std::byte> bytes) {
  CsvReader reader({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "table");
  std::vector<std::string> fields;
  for (;;) {
    const auto more = reader.next(fields);
    if (!fine(more) || !*more) return;
    for (const std::string& field : fields) touched += real_number(field) || whole_number(field) ? 1U : 0U;
  }
}

}  // namespace moescope::fuzz
