// Reading Results safely: parts by name with their sizes checked, cells with their absence. Results may come from
// session files and plugins, so a builder never indexes what it has not checked. Pure functions: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/analysis/result.h"
#include "core/base/export.h"

namespace moescope {

// The part of that name; null when there is none or when its arrays do not fit its names.
[[nodiscard]] MOESCOPE_API const Matrix* find_matrix(const Result& result, const std::string& name);
// A series whose y, and low and high where given, are as long as x.
[[nodiscard]] MOESCOPE_API const Series* find_line(const Result& result, const std::string& name);
[[nodiscard]] MOESCOPE_API const Table* find_table(const Result& result, const std::string& name);
// Column of that name in a table, or npos.
[[nodiscard]] MOESCOPE_API std::size_t find_column(const Table& table, const std::string& name);
// A cell as a number; NaN when it is absent, no number or out of range.
[[nodiscard]] MOESCOPE_API double number_at(const Table& table, std::size_t row, std::size_t column);
[[nodiscard]] MOESCOPE_API std::string text_at(const Table& table, std::size_t row, std::size_t column);

[[nodiscard]] MOESCOPE_API Absence cell_absence(const Matrix& m, std::size_t row, std::size_t column);
[[nodiscard]] MOESCOPE_API bool present(const Matrix& m, std::size_t row, std::size_t column);
// Why a row without any present cell is absent: what most of its cells say.
[[nodiscard]] MOESCOPE_API Absence row_absence(const Matrix& m, std::size_t row);
[[nodiscard]] MOESCOPE_API std::string absence_words(Absence why);
// n of a cell (per cell or per row); NaN when it is not known.
[[nodiscard]] MOESCOPE_API double cell_n(const Matrix& m, std::size_t row, std::size_t column);
[[nodiscard]] MOESCOPE_API bool has_interval(const Matrix& m, std::size_t row, std::size_t column);
[[nodiscard]] MOESCOPE_API double low_of(const Matrix& m, std::size_t row, std::size_t column);
[[nodiscard]] MOESCOPE_API double high_of(const Matrix& m, std::size_t row, std::size_t column);

// "E04", as names of columns and labels of experts are written.
[[nodiscard]] MOESCOPE_API std::string expert_name(std::uint32_t expert);
// "E04" without its letter, for cells.
[[nodiscard]] MOESCOPE_API std::string short_expert(const std::string& name);
// " n = 12,522 tokens." with the filter where there is one; for captions.
[[nodiscard]] MOESCOPE_API std::string n_sentence(const Result& result);

}  // namespace moescope
