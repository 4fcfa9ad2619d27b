#include "core/trace/import/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "core/base/hash.h"
#include "core/trace/import/attach.h"
#include "core/trace/import/source_file.h"
#include "core/trace/trace_file.h"
#include "core/trace/trace_hash.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t folder_files_limit = 2000;
constexpr std::size_t segment_values = std::size_t{1} << 24U;  // ids or logits of one segment

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

Expected<Trace> import_trace(const std::vector<fs::path>& paths, const ImportOptions& options,
                             const WorkContext& work) {
  auto read = read_all(paths, options, work);
  if (!read) return fail(read.error());
  if (read->opened) return std::move(*read->opened);
  Trace trace = head_of(*read);
  std::set<std::int32_t> ids;
  const auto kept = each_segment(*read->trace, work, options.token_bytes ? &ids : nullptr, [&](auto segment) {
    trace.segments.push_back(std::move(segment));
    return Expected<void>{};
  });
  if (!kept) return fail(with_place(kept.error(), read->files));
  if (options.token_bytes) trace.vocabulary = vocabulary_of(ids, options);
  trace.content_hash = hash_trace(trace);
  trace.path = paths.front().string();
  for (const auto& file : read->files) {
    if (auto fault = file->mapped()->fault()) return fail(std::move(*fault));
  }
  return trace;
}

Expected<ImportReport> import_to_file(const std::vector<fs::path>& paths, const fs::path& out,
                                      const ImportOptions& options, const WorkContext& work) {
  auto read = read_all(paths, options, work);
  if (!read) return fail(read.error());
  if (read->opened) {
    const Trace& same = *read->opened;
    if (auto written = write_trace(same, out); !written) return fail(written.error());
    return ImportReport{read->importer->name, same.rows().size(), same.token_count(), same.info->notes};
  }
  Trace head = head_of(*read);
  const NormalTrace& trace = *read->trace;
  if (options.token_bytes) {  // the file's head comes first, so the ids are looked at before
    std::set<std::int32_t> ids;
    const auto looked = each_segment(trace, work, &ids, [](auto) { return Expected<void>{}; });
    if (!looked) return fail(with_place(looked.error(), read->files));
    head.vocabulary = vocabulary_of(ids, options);
  }
  ImportReport report{read->importer->name, head.rows().size(), trace.tokens(), head.info->notes};
  auto writer = TraceWriter::create(out, std::move(head), trace.tokens());
  if (!writer) return fail(writer.error());
  const auto written =
      each_segment(trace, work, nullptr, [&](const auto& segment) { return writer->append(*segment); });
  if (!written) return fail(with_place(written.error(), read->files));
  for (const auto& file : read->files) {
    if (auto fault = file->mapped()->fault()) return fail(std::move(*fault));
  }
  if (auto finished = writer->finish(); !finished) return fail(finished.error());
  return report;
}

}  // namespace moescope
