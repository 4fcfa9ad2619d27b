// Importers: readers of foreign routing traces. Each is one file in formats/, registered in a table; which of them
// reads a file is decided by its content with a score, never by its name alone. Called by the workbench's open command,
// the command line and plugins. Importing is a pure function of the files; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/base/progress.h"
#include "core/trace/import/model_facts.h"
#include "core/trace/import/normalise.h"
#include "core/trace/import/raw_trace.h"
#include "core/trace/trace.h"

namespace moescope {

class SourceFile;

struct ImportOptions {
  std::string format;                                      // name of an importer; empty = by content
  std::optional<ModelFacts> model;                         // joins the trace with its model
  std::uint32_t k = 0, experts = 0, layers = 0;            // told by the user where the file does not say; 0 = not told
  std::function<std::string(std::int32_t)> token_bytes{};  // bytes of a token id, from the model's tokenizer
  // import_trace() only: columns of more bytes than `most_held` are not held in memory but written to a trace file in
  // the folder `converted`, and mapped from there. The next import of the same file finds it. No folder: all is held.
  std::filesystem::path converted{};
  std::uint64_t most_held = 0;  // 0 = a quarter of the memory that is free
};

// How well a file fits: 0 = not at all, 100 = certain; the reason is shown when the user has to choose.
struct ImportScore {
  int score = 0;
  std::string reason;
};

using SourceFiles = std::vector<std::shared_ptr<SourceFile>>;

struct Importer {
  std::string name;    // "sglang-recorder", as --format takes it
  std::string title;   // "SGLang expert distribution recorder"
  std::string layout;  // what such a file holds, in a sentence: the help and the error "none fits"
  ImportScore (*score)(SourceFile& file) = nullptr;
  // Files of one recording (ranks, layers, or just one) as one RawTrace. Errors (input) name the place.
  Expected<RawTrace> (*read)(const SourceFiles& files, const ImportOptions& options, const WorkContext& work) = nullptr;
  // Instead of `read`, for files that are traces already.
  Expected<Trace> (*open)(SourceFile& file) = nullptr;
};

// By name. Filled before main(), immutable afterwards.
[[nodiscard]] MOESCOPE_API std::span<const Importer> importers();
[[nodiscard]] MOESCOPE_API const Importer* find_importer(const std::string& name);
// `static const RegisterImporter registered{{…}};` in an importer's file.
struct RegisterImporter {
  explicit RegisterImporter(Importer importer);
};

// The importers that fit a file best: one, several with the same score, or none. Error (input) when the file cannot be
// read at all.
struct ImportCandidate {
  const Importer* importer = nullptr;
  ImportScore score;
};
[[nodiscard]] MOESCOPE_API Expected<std::vector<ImportCandidate>> import_candidates(const std::filesystem::path& file);

// Reads files of one recording into a trace, in memory or by way of a file (ImportOptions::converted). A folder stands
// for the files in it. Errors: usage when two importers fit equally well (it lists them) or the format is unknown;
// input when none fits (it says what was looked for), the file is broken, with the place, or needs more memory to be
// read than there is; cancelled.
[[nodiscard]] MOESCOPE_API Expected<Trace> import_trace(const std::vector<std::filesystem::path>& files,
                                                        const ImportOptions& options, const WorkContext& work = {});

// Where programs keep conversions: in the user's cache. Empty where there is none.
[[nodiscard]] MOESCOPE_API std::filesystem::path converted_imports_folder();

// What became of an import to a file.
struct ImportReport {
  std::string format;  // name of the importer
  std::size_t rows = 0, tokens = 0;
  std::vector<std::string> notes;
};
// The same, written to a trace file piece by piece, so that memory holds the source only.
[[nodiscard]] MOESCOPE_API Expected<ImportReport> import_to_file(const std::vector<std::filesystem::path>& files,
                                                                 const std::filesystem::path& out,
                                                                 const ImportOptions& options,
                                                                 const WorkContext& work = {});

}  // namespace moescope
