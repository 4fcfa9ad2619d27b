#include "views/shell/filter_completion.h"

#include <QRegularExpression>
#include <algorithm>
#include <optional>

namespace moescope {
namespace {

struct FilterPiece {
  enum class Kind { word, text, number, symbol };
  Kind kind = Kind::symbol;
  QString text;  // of a text, without quotes
  qsizetype from = 0, to = 0;
  bool open = false;  // a text without its closing quote
};

std::vector<FilterPiece> pieces_of(const QString& text) {
  static const QRegularExpression pattern(
      QStringLiteral("\\s+|(\"(?:[^\"\\\\]|\\\\.)*\"?|'(?:[^'\\\\]|\\\\.)*'?)|([^\\W\\d][\\w.-]*)|"
                     "(-?\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)|(\\.\\.|==|!=|<=|>=|&&|\\|\\||.)"),
      QRegularExpression::UseUnicodePropertiesOption | QRegularExpression::DotMatchesEverythingOption);
  std::vector<FilterPiece> out;
  auto matches = pattern.globalMatch(text);
  while (matches.hasNext()) {
    const auto match = matches.next();
    FilterPiece piece{FilterPiece::Kind::symbol, match.captured(0), match.capturedStart(0), match.capturedEnd(0),
                      false};
    if (match.capturedStart(1) >= 0) {
      piece.kind = FilterPiece::Kind::text;
      const QChar quote = piece.text[0];
      piece.open = piece.text.size() == 1 || !piece.text.endsWith(quote);
      piece.text = piece.text.mid(1, piece.text.size() - (piece.open ? 1 : 2));
    } else if (match.capturedStart(2) >= 0) {
      piece.kind = FilterPiece::Kind::word;
    } else if (match.capturedStart(3) >= 0) {
      piece.kind = FilterPiece::Kind::number;
    } else if (match.capturedStart(4) < 0) {
      continue;  // space
    }
    out.push_back(std::move(piece));
  }
  return out;
}

// What the grammar expects after the pieces so far.
enum class Due { term, comparison, value, set_value, set_end, join, row, row_end, expert, nothing };

struct FilterPlace {
  Due due = Due::term;
  const FilterTerm* term = nullptr;  // that a comparison is about
  bool membership = false;           // after "in"
};

FilterPlace after_piece(const FilterPlace& at, const FilterPiece& piece, const std::vector<FilterTerm>& terms) {
  using Kind = FilterPiece::Kind;
  const bool name = piece.kind == Kind::word || piece.kind == Kind::text;
  const bool value = piece.kind != Kind::symbol;
  const QString& symbol = piece.text;
  switch (at.due) {
    case Due::term: {
      if (piece.kind == Kind::symbol)
        return {symbol == QLatin1String("!") || symbol == QLatin1String("(") ? Due::term : Due::nothing};
      if (!name) return {Due::nothing};
      const auto found = std::find_if(terms.begin(), terms.end(), [&](const FilterTerm& term) {
        return QString::fromStdString(term.name) == piece.text;
      });
      if (found == terms.end()) return {Due::comparison};
      if (found->kind == "function") return {Due::row, &*found};
      return {Due::comparison, &*found};
    }
    case Due::comparison:
      if (piece.kind == Kind::word && symbol == QLatin1String("in")) return {Due::value, at.term, true};
      if (piece.kind == Kind::word) return {symbol == QLatin1String("contains") ? Due::value : Due::nothing, at.term};
      return {piece.kind == Kind::symbol && !symbol.startsWith(QLatin1Char('.')) ? Due::value : Due::nothing, at.term};
    case Due::value:
      if (at.membership && symbol == QLatin1String("{") && piece.kind == Kind::symbol) return {Due::set_value, at.term};
      return {value ? Due::join : Due::nothing, at.term, at.membership};
    case Due::set_value:
      return {value ? Due::set_end : Due::nothing, at.term};
    case Due::set_end:
      return {symbol == QLatin1String(",")   ? Due::set_value
              : symbol == QLatin1String("}") ? Due::join
                                             : Due::nothing,
              at.term};
    case Due::join:
      if (symbol == QLatin1String("..") && at.membership) return {Due::value, at.term};
      if (symbol == QLatin1String(")") && piece.kind == Kind::symbol) return {Due::join};
      return {symbol == QLatin1String("&&") || symbol == QLatin1String("||") ? Due::term : Due::nothing};
    case Due::row:
      if (symbol == QLatin1String("(") && piece.kind == Kind::symbol) return {Due::row, at.term};
      return {piece.kind == Kind::number ? Due::row_end : Due::nothing, at.term};
    case Due::row_end:
      return {symbol == QLatin1String(",") ? Due::expert : Due::nothing, at.term};
    case Due::expert:  // numbers, in braces or not, up to the closing parenthesis
      return {symbol == QLatin1String(")") && piece.kind == Kind::symbol ? Due::join : Due::expert, at.term};
    case Due::nothing:
      break;
  }
  return {Due::nothing};
}

QStringList words_at(const FilterPlace& at, const std::vector<FilterTerm>& terms, std::size_t rows) {
  QStringList words;
  switch (at.due) {
    case Due::term:
      for (const FilterTerm& term : terms) words << QString::fromStdString(term.name);
      return words;
    case Due::comparison:
      if (!at.term) return {};
      if (at.term->kind == "number")
        return {QStringLiteral("=="), QStringLiteral("!="), QStringLiteral("<"), QStringLiteral("<="),
                QStringLiteral(">"),  QStringLiteral(">="), QStringLiteral("in")};
      return {QStringLiteral("=="), QStringLiteral("!="), QStringLiteral("in"), QStringLiteral("contains")};
    case Due::value:
    case Due::set_value:
      if (at.membership) words << QStringLiteral("{");
      if (at.term && !(at.membership && at.term->kind != "number"))
        for (const std::string& value : at.term->values) words << QString::fromStdString(value);
      return words;
    case Due::set_end:
      return {QStringLiteral(","), QStringLiteral("}")};
    case Due::join:
      return {QStringLiteral("&&"), QStringLiteral("||")};
    case Due::row:
      for (std::size_t r = 0; r < rows; ++r) words << QString::number(r);
      return words;
    case Due::row_end:
    case Due::expert:
    case Due::nothing:
      return {};
  }
  return {};
}

bool is_filter_word(const QString& name) {
  static const QRegularExpression pattern(QStringLiteral("^[^\\W\\d][\\w.-]*$"),
                                          QRegularExpression::UseUnicodePropertiesOption);
  return pattern.match(name).hasMatch();
}

}  // namespace

FilterCompletion complete_filter(const QString& before, const std::vector<FilterTerm>& terms, std::size_t rows) {
  std::vector<FilterPiece> pieces = pieces_of(before);
  FilterCompletion out;
  out.from = before.size();
  // The piece that the cursor touches is what is being typed.
  const bool typing = !pieces.empty() && pieces.back().to == before.size() &&
                      (pieces.back().kind != FilterPiece::Kind::symbol) &&
                      (pieces.back().kind != FilterPiece::Kind::text || pieces.back().open);
  if (typing) {
    out.prefix = pieces.back().text;
    out.from = pieces.back().from;
    pieces.pop_back();
  }
  FilterPlace at;
  for (const FilterPiece& piece : pieces) at = after_piece(at, piece, terms);
  // Joins are offered once there is a space, or the value might go on.
  if (!typing && (at.due == Due::join || at.due == Due::comparison || at.due == Due::set_end) &&
      (before.isEmpty() || !before.back().isSpace()))
    return {};
  out.quoted = (at.due == Due::value || at.due == Due::set_value) && at.term && at.term->kind != "number";
  for (const QString& word : words_at(at, terms, rows))
    if (word.startsWith(out.prefix, Qt::CaseInsensitive)) out.words << word;
  if (out.words.size() == 1 && out.words[0] == out.prefix && !out.quoted) out.words.clear();
  return out;
}

QString insertion_of(const FilterCompletion& completion, const QString& word, const std::vector<FilterTerm>& terms) {
  const bool brace = word == QLatin1String("{");
  if (completion.quoted && !brace) {
    QString escaped = word;
    escaped.replace(QLatin1Char('\\'), QLatin1String("\\\\")).replace(QLatin1Char('"'), QLatin1String("\\\""));
    return QLatin1Char('"') + escaped + QLatin1Char('"');
  }
  if (brace || word == QLatin1String("}") || word == QLatin1String(","))
    return word == QLatin1String(",") ? word + QLatin1Char(' ') : word;
  const auto term = std::find_if(terms.begin(), terms.end(),
                                 [&](const FilterTerm& one) { return QString::fromStdString(one.name) == word; });
  if (term == terms.end()) return word + QLatin1Char(' ');
  if (term->kind == "function") return word + QLatin1Char('(');
  return is_filter_word(word) ? word + QLatin1Char(' ') : QLatin1Char('"') + word + QLatin1String("\" ");
}

}  // namespace moescope
