// What may come next in a filter that is being typed: names of terms, operators, values, joins. Works on the text
// before the cursor and the terms of a trace alone; the grammar is that of core/trace/filter_parser.h. Any thread.
#pragma once

#include <QString>
#include <QStringList>
#include <vector>

#include "core/trace/selection.h"

namespace moescope {

struct FilterCompletion {
  QStringList words;    // as they are shown; all begin with `prefix` when compared without case
  QString prefix;       // what of the word stands there already
  qsizetype from = 0;   // where the word that `insertion` replaces begins
  bool quoted = false;  // words are values of texts: they go into quotes
};

// Nothing where the grammar leaves nothing to choose from (a number is due), or the text before is no filter.
[[nodiscard]] FilterCompletion complete_filter(const QString& before_cursor, const std::vector<FilterTerm>& terms,
                                               std::size_t rows);
// The text that takes the place of everything from `completion.from` to the cursor.
[[nodiscard]] QString insertion_of(const FilterCompletion& completion, const QString& word,
                                   const std::vector<FilterTerm>& terms);

}  // namespace moescope
