// What the fuzzers and the seed corpus call: each takes the bytes of a file, reads it as the program would, and walks
// over all that came out. Errors are fine; anything else ends the process. One thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace moescope::fuzz {

using EntryPoint = void (*)(std::span<const std::byte> bytes);

void read_safetensors_file(std::span<const std::byte> bytes);
void read_gguf_file(std::span<const std::byte> bytes);
void read_torch_zip(std::span<const std::byte> bytes);
void read_pickle(std::span<const std::byte> bytes);
void read_config(std::span<const std::byte> bytes);     // config.json through its family, with no weights beside
void read_tokenizer(std::span<const std::byte> bytes);  // of any kind; encodes and decodes a text

void import_trace_file(std::span<const std::byte> bytes);  // by its content, as the open command does
void import_trace_as(std::span<const std::byte> bytes);    // as the format that the first byte names
void read_npy_array(std::span<const std::byte> bytes);
void read_csv_table(std::span<const std::byte> bytes);

struct Target {
  std::string_view name;
  EntryPoint run;
};
// By name: the folders of tests/data/fuzz, and the programs fuzz_<name>.
inline constexpr Target targets[] = {{"safetensors", read_safetensors_file},
                                     {"gguf", read_gguf_file},
                                     {"torch", read_torch_zip},
                                     {"pickle", read_pickle},
                                     {"config", read_config},
                                     {"tokenizer_json", read_tokenizer},
                                     {"sentencepiece", read_tokenizer},
                                     {"gguf_vocabulary", read_tokenizer},
                                     {"traces", import_trace_file},
                                     {"trace_formats", import_trace_as},
                                     {"npy", read_npy_array},
                                     {"csv", read_csv_table}};

}  // namespace moescope::fuzz
