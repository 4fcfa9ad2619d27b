#include "core/trace/import/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/trace/import/attach.h"
#include "core/trace/import/converted.h"
#include "core/trace/import/source_file.h"
#include "core/trace/trace_file.h"
#include "core/trace/trace_hash.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t folder_files_limit = 2000;
constexpr std::size_t segment_values = std::size_t{1} << 24U;  // ids or logits of one segment
constexpr double most_of_free = 0.8;                           // of the free memory may be needed for reading

std::vector<Importer>& table() {
  static std::vector<Importer> all;
  return all;
}

std::vector<ImportCandidate> candidates_of(SourceFile& file) {
  std::vector<ImportCandidate> out;
  for (const Importer& importer : importers()) {
    ImportScore score = importer.score(file);
    if (score.score <= 0 || (!out.empty() && score.score < out.front().score.score)) continue;
    if (!out.empty() && score.score > out.front().score.score) out.clear();
    out.push_back({&importer, std::move(score)});
  }
  return out;
}

// The importer of one file, or the error that the user sees.
Expected<const Importer*> choose(SourceFile& file) {
  const auto fits = candidates_of(file);
  if (fits.size() == 1) return fits.front().importer;
  if (fits.empty()) {
    std::string looked_for;
    for (const Importer& importer : importers()) looked_for += (looked_for.empty() ? "" : "; ") + importer.layout;
    return fail(ErrorKind::input, fmt::format("this is {} that no importer knows", file_kind_name(file.kind())),
                file.place(), "Looked for: " + looked_for);
  }
  std::string list;
  for (const ImportCandidate& fit : fits) {
    list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", fit.importer->name, fit.score.reason);
  }
  return fail(ErrorKind::usage, fmt::format("the file fits several formats equally well: {}", list), file.place(),
              "Choose one with --format NAME");
}

// Folders become their files, in the order of names; what is given twice is read once.
Expected<SourceFiles> open_files(const std::vector<fs::path>& paths, std::vector<std::string>& notes) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
      if (at->is_regular_file(error) && at->file_size(error) > 0) inside.push_back(at->path());
      if (inside.size() > folder_files_limit) {
        return fail(ErrorKind::input, fmt::format("the folder has more than {} files", folder_files_limit),
                    path.string(), "Give the files of one recording");
      }
    }
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  SourceFiles out;
  for (const fs::path& path : files) {
    auto file = SourceFile::open(path);
    if (!file) return fail(file.error());
    const auto bytes = (*file)->bytes();
    const bool twice = std::any_of(out.begin(), out.end(), [&](const auto& other) {
      return other->bytes().size() == bytes.size() && fingerprint(other->bytes()) == fingerprint(bytes);
    });
    if (twice) {
      notes.push_back(fmt::format("{} has the same content as another file and was read once.", (*file)->name()));
      continue;
    }
    out.push_back(std::move(*file));
  }
  if (out.empty()) return fail(ErrorKind::input, "there is no file to import", "", "Give the files of one recording");
  return out;
}

// The one importer for all files. In a folder, files that no importer knows (sidecars, logs) are left out.
Expected<const Importer*> choose_all(SourceFiles& files, const ImportOptions& options, bool folder,
                                     std::vector<std::string>& notes) {
  if (!options.format.empty()) {
    const Importer* const named = find_importer(options.format);
    if (named != nullptr) return named;
    std::string names;
    for (const Importer& importer : importers()) names += (names.empty() ? "" : ", ") + importer.name;
    return fail(ErrorKind::usage, fmt::format("there is no format '{}'", options.format), "", "Formats: " + names);
  }
  const Importer* common = nullptr;
  SourceFiles kept;
  for (const auto& file : files) {
    const auto fits = candidates_of(*file);
    if (folder && fits.empty()) {
      notes.push_back(fmt::format("{} was not read: no importer knows it.", file->name()));
      continue;
    }
    auto chosen = choose(*file);
    if (!chosen) return chosen;
    if (common != nullptr && *chosen != common) {
      return fail(ErrorKind::usage,
                  fmt::format("the files are of several formats: {} and {}", common->name, (*chosen)->name),
                  file->place(), "Import files of one recording at a time");
    }
    common = *chosen;
    kept.push_back(file);
  }
  if (common == nullptr) return choose(*files.front());
  files = std::move(kept);
  return common;
}

struct Read {
  const Importer* importer = nullptr;
  SourceFiles files;
  std::optional<NormalTrace> trace;
  std::optional<Trace> opened;  // instead, when the file is a trace already
  std::vector<std::string> notes;
};

// Errors name the file even where the deeper ones do not.
Error with_place(Error error, const SourceFiles& files) {
  if (files.empty() || error.where.find(files.front()->name()) != std::string::npos) return error;
  error.where = error.where.empty() ? files.front()->place() : files.front()->place() + ", " + error.where;
  return error;
}

// Arrays are read where they lie; texts are parsed into memory. The factors are what that takes for each byte at most
// in practice: an object of JSON is many times its text, a number of a table is four bytes for two or three.
Expected<void> check_memory(const SourceFiles& files) {
  double needed = 0;
  for (const auto& file : files) {
    const double factor = file->kind() == FileKind::json                                           ? 10
                          : file->kind() == FileKind::json_lines || file->kind() == FileKind::text ? 2
                                                                                                   : 0;
    needed += factor * static_cast<double>(file->bytes().size());
  }
  const auto free = static_cast<double>(available_memory_bytes());
  if (free <= 0 || needed <= free * most_of_free) return {};
  return fail(
      ErrorKind::input,
      fmt::format("reading this takes about {:.1f} GB of memory, and {:.1f} GB are free", needed / 1e9, free / 1e9),
      files.front()->place(),
      "Import it in parts, or convert it with moescope-cli import where there is more memory: the trace file it "
      "writes opens without being read into memory");
}

Expected<Read> read_all(const std::vector<fs::path>& paths, const ImportOptions& options, const WorkContext& work) {
  Read out;
  auto files = open_files(paths, out.notes);
  if (!files) return fail(files.error());
  std::error_code ignored;
  const bool folder =
      std::any_of(paths.begin(), paths.end(), [&](const auto& p) { return fs::is_directory(p, ignored); });
  const auto importer = choose_all(*files, options, folder, out.notes);
  if (!importer) return fail(importer.error());
  out.importer = *importer;
  out.files = std::move(*files);
  if (out.importer->open != nullptr) {
    if (out.files.size() > 1) {
      return fail(ErrorKind::usage, fmt::format("{} traces cannot become one", out.files.size()), out.files[1]->place(),
                  "Import one at a time");
    }
    auto trace = out.importer->open(*out.files.front());
    if (!trace) return fail(trace.error());
    auto joined = attach_model(std::move(*trace), options);
    if (!joined) return fail(joined.error());
    out.opened = std::move(*joined);
    return out;
  }
  if (auto fits = check_memory(out.files); !fits) return fail(fits.error());
  try {
    work.report("Reading " + out.files.front()->name(), 0);
    auto raw = out.importer->read(out.files, options, work);
    if (!raw) return fail(with_place(raw.error(), out.files));
    raw->notes.insert(raw->notes.end(), out.notes.begin(), out.notes.end());
    if (raw->tool.empty()) raw->tool = out.importer->title;
    for (const auto& file : out.files) raw->source_bytes += file->bytes().size();
    NormaliseOptions how;
    how.model = options.model;
    how.k = options.k;
    how.experts = options.experts;
    auto normal = normalise(std::move(*raw), how, work);
    if (!normal) return fail(with_place(normal.error(), out.files));
    out.trace.emplace(std::move(*normal));
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::input, "the file needs more memory to read than there is", out.files.front()->place(),
                "Import a part of it");
  } catch (const std::exception& error) {
    return fail(ErrorKind::input, fmt::format("the file cannot be read as {}: {}", out.importer->name, error.what()),
                out.files.front()->place(), "Check that the file is whole, or choose another --format");
  }
  for (const auto& file : out.files) {
    if (auto fault = file->mapped()->fault()) return fail(std::move(*fault));
  }
  return out;
}

// The head with the source's name and hash, as every import states them.
Trace head_of(const Read& read) {
  Trace head = read.trace->head();
  TraceInfo info = *head.info;
  const auto& first = *read.files.front();
  info.source_file =
      read.files.size() == 1 ? first.name() : fmt::format("{} and {} more", first.name(), read.files.size() - 1);
  info.source_hash = fingerprint(first.bytes());
  head.info = std::make_shared<const TraceInfo>(std::move(info));
  head.name = first.path().stem().string();
  return head;
}

std::size_t tokens_per_segment(const NormalTrace& trace) {
  return std::clamp<std::size_t>(segment_values / trace.values_per_token(), 1, trace.tokens());
}

// Calls `use` with the segments of the trace, in order, and collects the token ids that occur.
template <typename Use>
Expected<void> each_segment(const NormalTrace& trace, const WorkContext& work, std::set<std::int32_t>* ids, Use use) {
  if (trace.tokens() == 0) return {};
  const std::size_t step = tokens_per_segment(trace);
  for (std::size_t first = 0; first < trace.tokens(); first += step) {
    if (work.cancelled()) return fail(ErrorKind::cancelled, "the import was stopped");
    work.report("Arranging tokens", 0.5 + 0.5 * static_cast<double>(first) / static_cast<double>(trace.tokens()));
    auto segment = trace.segment(first, std::min(step, trace.tokens() - first));
    if (!segment) return fail(segment.error());
    if (ids != nullptr && ids->size() < token_texts_limit) {
      ids->insert((*segment)->token_ids.values.begin(), (*segment)->token_ids.values.end());
    }
    if (auto used = use(std::move(*segment)); !used) return used;
  }
  return {};
}

std::map<std::int32_t, std::string> vocabulary_of(const std::set<std::int32_t>& ids, const ImportOptions& options) {
  std::map<std::int32_t, std::string> out;
  for (const std::int32_t id : ids) {
    std::string bytes = id < 0 ? std::string{} : options.token_bytes(id);
    if (!bytes.empty()) out.emplace(id, std::move(bytes));
  }
  return out;
}

}  // namespace

RegisterImporter::RegisterImporter(Importer importer) {
  auto& all = table();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Importer& i) { return i.name > importer.name; });
  all.insert(at, std::move(importer));
}

std::span<const Importer> importers() {
  return table();
}

const Importer* find_importer(const std::string& name) {
  const auto found =
      std::find_if(importers().begin(), importers().end(), [&](const auto& i) { return i.name == name; });
  return found == importers().end() ? nullptr : &*found;
}

Expected<std::vector<ImportCandidate>> import_candidates(const fs::path& path) {
  auto file = SourceFile::open(path);
  if (!file) return fail(file.error());
  return candidates_of(**file);
}

namespace {

Expected<void> check_sources(const SourceFiles& files) {
  for (const auto& file : files) {
    if (auto fault = file->mapped()->fault()) return fail(std::move(*fault));
  }
  return {};
}

// Writes a trace that was read to a file, piece by piece.
Expected<ImportReport> write_read(const Read& read, const fs::path& out, const ImportOptions& options,
                                  const WorkContext& work) {
  Trace head = head_of(read);
  const NormalTrace& trace = *read.trace;
  if (options.token_bytes) {  // the file's head comes first, so the ids are looked at before
    std::set<std::int32_t> ids;
    const auto looked = each_segment(trace, work, &ids, [](auto) { return Expected<void>{}; });
    if (!looked) return fail(with_place(looked.error(), read.files));
    head.vocabulary = vocabulary_of(ids, options);
  }
  ImportReport report{read.importer->name, head.rows().size(), trace.tokens(), head.info->notes};
  auto writer = TraceWriter::create(out, std::move(head), trace.tokens());
  if (!writer) return fail(writer.error());
  const auto written =
      each_segment(trace, work, nullptr, [&](const auto& segment) { return writer->append(*segment); });
  if (!written) return fail(with_place(written.error(), read.files));
  if (auto whole = check_sources(read.files); !whole) return fail(whole.error());
  if (auto finished = writer->finish(); !finished) return fail(finished.error());
  return report;
}

// A trace mapped from its conversion stands for the files it was made of.
Trace named_after(Trace trace, const SourceFiles& files, const std::vector<fs::path>& paths) {
  trace.name = files.front()->path().stem().string();
  trace.path = paths.front().string();
  return trace;
}

// The trace by way of a file in the folder for conversions. Its name goes by all files that were given, also those
// that were left out.
Expected<Trace> convert(const Read& read, const std::vector<fs::path>& paths, const ImportOptions& options,
                        const WorkContext& work) {
  std::error_code ignored;
  fs::create_directories(options.converted, ignored);
  tidy_converted(options.converted);
  std::vector<std::string> notes;
  const auto files = open_files(paths, notes);
  if (!files) return fail(files.error());
  const fs::path path = converted_path(*files, options);
  if (auto written = write_read(read, path, options, work); !written) return fail(written.error());
  auto trace = open_converted(path);
  if (!trace) {
    return fail(ErrorKind::input, "the converted trace cannot be read", path.string(),
                "Check the disk, and open it again");
  }
  return named_after(std::move(*trace), read.files, paths);
}

// The conversion that an earlier import of the same files left.
std::optional<Trace> converted_before(const std::vector<fs::path>& paths, const ImportOptions& options) {
  std::error_code ignored;
  if (options.converted.empty() || !fs::is_directory(options.converted, ignored)) return std::nullopt;
  std::vector<std::string> notes;
  const auto files = open_files(paths, notes);
  if (!files) return std::nullopt;
  auto trace = open_converted(converted_path(*files, options));
  if (!trace) return std::nullopt;
  return named_after(std::move(*trace), *files, paths);
}

}  // namespace

Expected<Trace> import_trace(const std::vector<fs::path>& paths, const ImportOptions& options,
                             const WorkContext& work) {
  if (auto known = converted_before(paths, options)) return std::move(*known);
  auto read = read_all(paths, options, work);
  if (!read) return fail(read.error());
  if (read->opened) return std::move(*read->opened);
  Trace trace = head_of(*read);
  const std::uint64_t limit = options.converted.empty() ? ~std::uint64_t{0}
                              : options.most_held > 0   ? options.most_held
                                                        : available_memory_bytes() / 4;
  std::set<std::int32_t> ids;
  std::uint64_t held = 0;
  bool too_large = false;
  const auto kept =
      each_segment(*read->trace, work, options.token_bytes ? &ids : nullptr, [&](auto segment) -> Expected<void> {
        held += column_bytes(*segment);
        too_large = limit > 0 && held > limit;
        if (too_large) return fail(ErrorKind::input, "the trace is too large to be held in memory");
        trace.segments.push_back(std::move(segment));
        return {};
      });
  if (too_large) {
    trace.segments.clear();
    return convert(*read, paths, options, work);
  }
  if (!kept) return fail(with_place(kept.error(), read->files));
  if (options.token_bytes) trace.vocabulary = vocabulary_of(ids, options);
  trace.content_hash = hash_trace(trace);
  trace.path = paths.front().string();
  if (auto whole = check_sources(read->files); !whole) return fail(whole.error());
  return trace;
}

Expected<ImportReport> import_to_file(const std::vector<fs::path>& paths, const fs::path& out,
                                      const ImportOptions& options, const WorkContext& work) {
  auto read = read_all(paths, options, work);
  if (!read) return fail(read.error());
  if (!read->opened) return write_read(*read, out, options, work);
  const Trace& same = *read->opened;
  if (auto written = write_trace(same, out); !written) return fail(written.error());
  return ImportReport{read->importer->name, same.rows().size(), same.token_count(), same.info->notes};
}

}  // namespace moescope
