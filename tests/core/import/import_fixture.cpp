#include "tests/core/import/import_fixture.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace moescope::fixtures {

Trace ImportFolder::import(const std::string& name, std::string_view bytes, const ImportOptions& options) const {
  // With MOESCOPE_SEED_FOLDER set, every imported file becomes a seed for fuzzing.
  if (const char* const seeds = std::getenv("MOESCOPE_SEED_FOLDER")) {
    const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::ofstream(
        std::filesystem::path(seeds) / (std::string(test->test_suite_name()) + "-" + test->name() + "-" + name),
        std::ios::binary)
        << bytes;
  }
  auto trace = import_trace({write(name, bytes)}, options);
  if (!trace) {
    ADD_FAILURE() << trace.error().text();
    Trace none;
    none.info = std::make_shared<const TraceInfo>();
    return none;
  }
  return std::move(*trace);
}

std::string ImportFolder::format_of(const std::string& name, std::string_view bytes) const {
  const auto fits = import_candidates(write(name, bytes));
  return fits && fits->size() == 1 ? fits->front().importer->name : "";
}

std::vector<std::uint32_t> ids_at(const Trace& trace, std::size_t row, std::size_t token) {
  const Trace::Place place = trace.locate(token);
  std::vector<std::uint32_t> out;
  for (std::size_t s = 0; place.segment != nullptr && s < place.segment->filled(row, place.token); ++s) {
    out.push_back(place.segment->id(row, place.token, s));
  }
  return out;
}

std::vector<float> weights_at(const Trace& trace, std::size_t row, std::size_t token) {
  const Trace::Place place = trace.locate(token);
  std::vector<float> out;
  for (std::size_t s = 0; place.segment != nullptr && s < place.segment->filled(row, place.token); ++s) {
    const Segment& segment = *place.segment;
    out.push_back(segment.gate_weights.at((row * segment.tokens + place.token) * segment.slots + s));
  }
  return out;
}

std::vector<std::int64_t> counts_at(const Trace& trace, std::size_t row) {
  const ExpertCounts& counts = trace.counts;
  std::vector<std::int64_t> out(counts.emax, 0);
  for (std::size_t s = 0; s < counts.steps; ++s) {
    for (std::size_t e = 0; e < counts.emax; ++e) out[e] += counts.values[(s * counts.rows + row) * counts.emax + e];
  }
  return out;
}

std::string notes_of(const Trace& trace) {
  std::string out;
  for (const std::string& note : trace.info->notes) out += note + "\n";
  return out;
}

}  // namespace moescope::fixtures
