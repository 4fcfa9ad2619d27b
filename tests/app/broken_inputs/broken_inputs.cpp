#include "tests/app/broken_inputs/broken_inputs.h"

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/core/model/checkpoint_files.h"

namespace moescope::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path golden = golden_checkpoint();

// A copy whose config was changed.
fs::path with_config(const fs::path& folder, const std::function<void(json&)>& change) {
  copy_golden_checkpoint(folder);
  json config = json::parse(read_bytes(folder / "config.json"));
  change(config);
  write_bytes(folder / "config.json", config.dump(1));
  return folder;
}

// A copy whose safetensors header was changed; the data stays.
fs::path with_header(const fs::path& folder, const std::function<void(json&)>& change) {
  copy_golden_checkpoint(folder);
  const std::string bytes = read_bytes(folder / "model.safetensors");
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  json header = json::parse(bytes.substr(8, size));
  change(header);
  const std::string text = header.dump();
  std::uint64_t length = text.size();
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  write_bytes(folder / "model.safetensors", out + text + bytes.substr(8 + size));
  return folder;
}

constexpr const char* a_tensor = "model.layers.1.mlp.gate.weight";

}  // namespace

std::vector<BrokenInput> make_broken_inputs(const fs::path& folder) {
  std::vector<BrokenInput> all;
  const auto add = [&](const std::string& name, const std::string& expected,
                       const std::function<fs::path(const fs::path&)>& make) {
    all.push_back({name, make(folder / name), expected});
  };
  add("truncated_header", "model.safetensors", [](const fs::path& to) {
    copy_golden_checkpoint(to);
    write_bytes(to / "model.safetensors", read_bytes(golden / "model.safetensors").substr(0, 100));
    return to;
  });
  add("offset_beyond_end", "model.safetensors", [](const fs::path& to) {
    return with_header(to, [](json& header) {
      // The last tensor of the file claims more rows, and the bytes for them.
      std::string last;
      std::uint64_t end = 0;
      for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__" || entry["data_offsets"][1].get<std::uint64_t>() < end) continue;
        end = entry["data_offsets"][1].get<std::uint64_t>();
        last = name;
      }
      json& entry = header[last];
      const std::uint64_t begin = entry["data_offsets"][0].get<std::uint64_t>();
      entry["shape"] = {(end - begin) / 4 + 1000000};
      entry["data_offsets"] = {begin, end + 4000000};
    });
  });
  add("overlapping_tensors", "model.safetensors", [](const fs::path& to) {
    return with_header(to, [](json& header) {
      header["model.layers.0.mlp.gate.weight"]["data_offsets"] = header[a_tensor]["data_offsets"];
    });
  });
  add("wrong_shapes", "[50, 32] expected",
      [](const fs::path& to) { return with_config(to, [](json& config) { config["intermediate_size"] = 50; }); });
  add("missing_tensor", std::string(a_tensor) + " is missing", [](const fs::path& to) {
    return with_header(to, [](json& header) {
      header["somebody.elses.weight"] = header[a_tensor];
      header.erase(a_tensor);
    });
  });
  add("more_chosen_than_experts", "9 experts per token, but only 8",
      [](const fs::path& to) { return with_config(to, [](json& config) { config["num_experts_per_tok"] = 9; }); });
  add("huge_declared_sizes", "model.safetensors", [](const fs::path& to) {
    return with_header(to, [](json& header) { header[a_tensor]["shape"] = {2, 9223372036854775807LL}; });
  });
  add("bad_json", "config.json, line", [](const fs::path& to) {
    copy_golden_checkpoint(to);
    std::string config = read_bytes(to / "config.json");
    config.insert(config.find(','), "; oops");
    write_bytes(to / "config.json", config);
    return to;
  });
  add("empty_file", "empty", [](const fs::path& to) {
    fs::create_directories(to);
    write_bytes(to / "empty.routes.safetensors", "");
    return to / "empty.routes.safetensors";
  });
  add("folder_without_config", "config.json", [](const fs::path& to) {
    copy_golden_checkpoint(to);
    fs::remove(to / "config.json");
    return to;
  });
  return all;
}

}  // namespace moescope::test
