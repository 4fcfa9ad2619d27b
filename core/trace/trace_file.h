// The trace file, `NAME.routes.safetensors`, version 1 (resources/help/trace-file.md): a safetensors container with the
// columns of a Trace. read_trace() maps it; write_trace() and TraceWriter make it. Called by readers, engines,
// commands. Reading and writing are independent; one TraceWriter is for one thread at a time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

#include "core/base/error.h"
#include "core/base/export.h"
#include "core/trace/trace.h"

namespace moescope {

// Opens a trace file. Columns stay in the mapped file (only unaligned ones, signed ids, tag codes and number types that
// a column cannot hold are copied), so a trace of a million tokens opens without its pages being read; the result has
// one segment. A truncated file gives its whole rows and says so in TraceInfo::notes.
// Ids are checked in the first tile of every row only: see Segment::id_below() and check_ids().
// Errors (input): not a trace file, a higher version or an unknown requirement, shapes that contradict each other, more
// than 65,535 experts or 249 slots, ids that are no experts.
[[nodiscard]] MOESCOPE_API Expected<Trace> read_trace(const std::filesystem::path& path);

// True when the file begins as a safetensors file with trace metadata; for choosing a reader by content.
[[nodiscard]] MOESCOPE_API bool looks_like_trace(const std::filesystem::path& path);

// Writes any trace as one file. Segments may differ in what they recorded: what one lacks is written as absent.
[[nodiscard]] MOESCOPE_API Expected<void> write_trace(const Trace& trace, const std::filesystem::path& path);

// Writes a trace while it is being recorded, segment by segment, straight to disk: the file's layout is
// [row, token, slot], so the number of tokens is stated first. The first segment decides which columns there are; what
// a later one lacks is written as absent, and what only a later one has is an error.
class MOESCOPE_API TraceWriter {
 public:
  // `head` gives info, text, vocabulary, counts and placement; its segments are ignored. `tokens` is how many will come
  // at most; when fewer came, finish() shortens the file by copying it once.
  [[nodiscard]] static Expected<TraceWriter> create(const std::filesystem::path& path, Trace head, std::size_t tokens);
  // Leaves nothing on disk unless finish() was reached.
  ~TraceWriter();
  TraceWriter(TraceWriter&&) noexcept;
  TraceWriter& operator=(TraceWriter&&) noexcept;

  // Appends a segment; its bytes are on their way to disk when this returns. Errors: usage for more tokens than stated,
  // other rows, more slots or another logit width than the first segment, columns that the first one had not; input
  // when the disk is full.
  [[nodiscard]] Expected<void> append(const Segment& segment);
  [[nodiscard]] std::size_t tokens_written() const;
  // Syncs and renames. The file has the tokens appended so far. The writer is done then, whatever comes back.
  [[nodiscard]] Expected<void> finish();

 private:
  friend Expected<void> write_trace(const Trace& trace, const std::filesystem::path& path);
  struct State;
  explicit TraceWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace moescope
