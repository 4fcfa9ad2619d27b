// MoEScope's own trace file.
#include "core/trace/import/importer.h"
#include "core/trace/import/source_file.h"
#include "core/trace/trace_file.h"

namespace moescope {
namespace {

ImportScore score(SourceFile& file) {
  if (file.kind() != FileKind::safetensors || !file.safetensors()) return {};
  if (!file.safetensors()->metadata.contains("moescope")) return {};
  return {100, "a safetensors file with the metadata of a MoEScope trace"};
}

Expected<Trace> open(SourceFile& file) {
  return read_trace(file.path());
}

const RegisterImporter registered{
    {"moescope", "MoEScope trace", "MoEScope's own .routes.safetensors", score, nullptr, open}};

}  // namespace
}  // namespace moescope
