#include "core/io/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"

namespace moescope {
namespace {

constexpr std::uint64_t alignment_bytes = 64;

std::uint64_t gap_after(std::uint64_t size) {
  return (alignment_bytes - size % alignment_bytes) % alignment_bytes;
}

bool is_filler(const std::string& name) {
  return name.starts_with("pad.");
}

// Whole 64-byte tensors keep what follows aligned; after them, falling element sizes keep every tensor on a multiple of
// its element.
void order_for_alignment(std::vector<TensorSpec>& tensors) {
  const auto rank = [](const TensorSpec& tensor) {
    const bool whole = gap_after(byte_size(tensor.type, tensor.shape).value_or(1)) == 0;
    return whole ? 1000 : dtype_bits(tensor.type);
  };
  std::stable_sort(tensors.begin(), tensors.end(),
                   [&](const TensorSpec& a, const TensorSpec& b) { return rank(a) > rank(b); });
}

void insert_fillers(std::vector<TensorSpec>& tensors) {
  std::vector<TensorSpec> filled;
  std::size_t fillers = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t gap = gap_after(byte_size(tensors[i].type, tensors[i].shape).value_or(0));
    filled.push_back(std::move(tensors[i]));
    if (gap != 0 && i + 1 < tensors.size()) {
      filled.push_back(TensorSpec{fmt::format("pad.{}", fillers++), DType::u8, {gap}});
    }
  }
  tensors = std::move(filled);
}

}  // namespace

Expected<SafetensorsWriter> SafetensorsWriter::create(const std::filesystem::path& path,
                                                      std::vector<TensorSpec> tensors,
                                                      const std::map<std::string, std::string>& metadata,
                                                      TensorAlignment alignment) {
  if (alignment == TensorAlignment::by_order) {
    order_for_alignment(tensors);
  } else {
    const auto taken = std::find_if(tensors.begin(), tensors.end(), [](const auto& t) { return is_filler(t.name); });
    if (taken != tensors.end()) {
      return fail(ErrorKind::usage, "names that begin with 'pad.' belong to fillers",
                  fmt::format("{}, tensor '{}'", path.string(), taken->name), "Use another name");
    }
    insert_fillers(tensors);
  }
  std::map<std::string, Place> places;
  std::string header;
  std::uint64_t at = 0;
  try {
    if (!metadata.empty()) header = ",\"__metadata__\":" + nlohmann::json(metadata).dump();
    for (const TensorSpec& tensor : tensors) {
      const std::string where = fmt::format("{}, tensor '{}'", path.string(), tensor.name);
      if (is_block_type(tensor.type)) {
        return fail(ErrorKind::usage, fmt::format("safetensors has no type {}", dtype_name(tensor.type)), where,
                    "Decode the tensor first");
      }
      const auto size = byte_size(tensor.type, tensor.shape);
      std::uint64_t end = 0;
      if (!size || __builtin_add_overflow(at, *size, &end)) {
        return fail(ErrorKind::usage, "the tensor is too large for a file", where, "Write less");
      }
      if (tensor.name == "__metadata__" || !places.emplace(tensor.name, Place{at, *size, 0}).second) {
        return fail(ErrorKind::usage, "the tensor's name is taken", where, "Give every tensor its own name");
      }
      // Assembled as text: an object with a million keys would search its keys for every new one.
      const nlohmann::ordered_json entry = {
          {"dtype", dtype_name(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
      header += "," + nlohmann::json(tensor.name).dump() + ":" + entry.dump();
      at = end;
    }
  } catch (const std::exception& error) {
    return fail(ErrorKind::usage, fmt::format("the header cannot be written: {}", error.what()), path.string(),
                "Use UTF-8 for names and metadata");
  }
  if (header.empty()) header = ",";
  header.front() = '{';
  header += '}';
  header.append(gap_after(8 + header.size()), ' ');
  if (header.size() > safetensors_limit::header_bytes) {
    return fail(ErrorKind::usage, "the header would be larger than the format allows", path.string(),
                "Write fewer tensors or less metadata");
  }

  auto file = OutputFile::create(path);
  if (!file) return fail(file.error());
  SafetensorsWriter writer(std::move(*file));
  const std::uint64_t data_offset = 8 + header.size();
  writer.file_size_ = data_offset + at;
  for (auto& [name, place] : places) {
    place.begin += data_offset;
    // Fillers stay the zeros that resize() makes.
    if (alignment == TensorAlignment::by_filler && is_filler(name)) place.written = place.size;
  }
  writer.places_ = std::move(places);
  if (auto sized = writer.file_.resize(writer.file_size_); !sized) return fail(sized.error());
  std::string front(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(front.data(), &length, 8);
  front += header;
  if (auto written = writer.file_.write_at(0, std::as_bytes(std::span(front.data(), front.size()))); !written) {
    return fail(written.error());
  }
  return writer;
}

Expected<void> SafetensorsWriter::write(const std::string& tensor, std::span<const std::byte> bytes) {
  const auto found = places_.find(tensor);
  return write_at(tensor, found == places_.end() ? 0 : found->second.written, bytes);
}

Expected<void> SafetensorsWriter::write_at(const std::string& tensor, std::uint64_t offset,
                                           std::span<const std::byte> bytes) {
  const auto found = places_.find(tensor);
  if (found == places_.end() || offset > found->second.size || bytes.size() > found->second.size - offset) {
    return fail(ErrorKind::internal, "bytes were written past a tensor or to one that was not declared",
                fmt::format("{}, tensor '{}'", file_.path().string(), tensor));
  }
  if (auto written = file_.write_at(found->second.begin + offset, bytes); !written) return written;
  found->second.written += bytes.size();
  return {};
}

Expected<void> SafetensorsWriter::finish() {
  for (const auto& [name, place] : places_) {
    if (place.written != place.size) {
      return fail(ErrorKind::internal,
                  fmt::format("{} of {} bytes of a tensor were written", place.written, place.size),
                  fmt::format("{}, tensor '{}'", file_.path().string(), name));
    }
  }
  return file_.commit();
}

}  // namespace moescope
