#include "views/weights/tensor_model.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "core/base/natural_order.h"
#include "core/figure/result_access.h"
#include "views/common/fonts.h"
#include "views/common/text.h"

namespace moescope {
namespace {

// Columns of the Result, in its order.
enum TensorColumn {
  name_column,
  type_column,
  shape_column,
  elements_column,
  bytes_column,
  file_column,
  tensor_columns
};

bool is_number_column(int column) {
  return column == elements_column || column == bytes_column;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

const std::string& text_of(const std::vector<Table::Cell>& row, int column) {
  static const std::string none;
  const auto* text = std::get_if<std::string>(&row[static_cast<std::size_t>(column)]);
  return text ? *text : none;
}

std::int64_t number_of(const std::vector<Table::Cell>& row, int column) {
  const auto* number = std::get_if<std::int64_t>(&row[static_cast<std::size_t>(column)]);
  return number ? *number : 0;
}

}  // namespace

void TensorModel::set_result(ResultPtr result) {
  beginResetModel();
  result_ = std::move(result);
  const Table* table = result_ ? find_table(*result_, "tensors") : nullptr;
  rows_ = table && table->columns.size() == tensor_columns ? &table->rows : nullptr;
  hay_.clear();
  if (rows_) {
    hay_.reserve(rows_->size());
    for (const auto& row : *rows_)
      hay_.push_back(lower_case(text_of(row, name_column) + ' ' + text_of(row, type_column) + ' ' +
                                text_of(row, shape_column) + ' ' + text_of(row, file_column)));
  }
  filter();
  endResetModel();
}

void TensorModel::set_search(const QString& words) {
  std::vector<std::string> wanted;
  for (const QString& word : words.split(QLatin1Char(' '), Qt::SkipEmptyParts))
    wanted.push_back(lower_case(word.toStdString()));
  if (wanted == words_) return;
  beginResetModel();
  words_ = std::move(wanted);
  filter();
  endResetModel();
}

void TensorModel::filter() {
  shown_.clear();
  shown_bytes_ = 0;
  for (std::uint32_t r = 0; r < hay_.size(); ++r) {
    const bool fits = std::all_of(words_.begin(), words_.end(),
                                  [&](const std::string& w) { return hay_[r].find(w) != std::string::npos; });
    if (!fits) continue;
    shown_.push_back(r);
    shown_bytes_ += static_cast<std::uint64_t>(number_of((*rows_)[r], bytes_column));
  }
  arrange();
}

void TensorModel::arrange() {
  std::sort(shown_.begin(), shown_.end());
  if (column_ < 0 || !rows_) return;
  const auto less = [&](std::uint32_t a, std::uint32_t b) {
    const auto &left = (*rows_)[a], &right = (*rows_)[b];
    if (is_number_column(column_)) return number_of(left, column_) < number_of(right, column_);
    return natural_less(text_of(left, column_), text_of(right, column_));
  };
  if (order_ == Qt::AscendingOrder)
    std::stable_sort(shown_.begin(), shown_.end(), less);
  else
    std::stable_sort(shown_.begin(), shown_.end(), [&](auto a, auto b) { return less(b, a); });
}

void TensorModel::sort(int column, Qt::SortOrder order) {
  beginResetModel();
  column_ = column;
  order_ = order;
  arrange();
  endResetModel();
}

int TensorModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(shown_.size());
}

int TensorModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(tensor_columns);
}

QVariant TensorModel::data(const QModelIndex& index, int role) const {
  if (!rows_ || !index.isValid() || index.row() >= rowCount()) return {};
  const int column = index.column();
  if (role == Qt::TextAlignmentRole)
    return QVariant::fromValue(
        Qt::Alignment(Qt::AlignVCenter | (is_number_column(column) ? Qt::AlignRight : Qt::AlignLeft)));
  if (role == Qt::FontRole) return mono_font(12);
  const auto& row = (*rows_)[shown_[static_cast<std::size_t>(index.row())]];
  if (role == Qt::ToolTipRole && column == bytes_column)
    return byte_text(static_cast<std::uint64_t>(number_of(row, column)));
  if (role == Qt::ToolTipRole && is_number_column(column)) return {};
  if (role != Qt::DisplayRole && role != Qt::ToolTipRole) return {};
  if (is_number_column(column)) return count_text(static_cast<std::uint64_t>(number_of(row, column)));
  const QString text = QString::fromStdString(text_of(row, column));
  return column == shape_column ? QString(text).replace(QStringLiteral(" x "), QStringLiteral(" × ")) : text;
}

QVariant TensorModel::headerData(int section, Qt::Orientation orientation, int role) const {
  static const QStringList names = {tr("Name"), tr("Type"), tr("Shape"), tr("Elements"), tr("Bytes"), tr("File")};
  if (orientation != Qt::Horizontal || section < 0 || section >= tensor_columns) return {};
  if (role == Qt::DisplayRole) return names[section];
  if (role == Qt::TextAlignmentRole)
    return QVariant::fromValue(
        Qt::Alignment(Qt::AlignVCenter | (is_number_column(section) ? Qt::AlignRight : Qt::AlignLeft)));
  return {};
}

QString TensorModel::csv() const {
  std::string out = "name,type,shape,elements,bytes,file\n";
  const auto field = [](const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
  };
  for (const std::uint32_t r : shown_) {
    const auto& row = (*rows_)[r];
    out += field(text_of(row, name_column)) + ',' + field(text_of(row, type_column)) + ',' +
           field(text_of(row, shape_column)) + ',' + std::to_string(number_of(row, elements_column)) + ',' +
           std::to_string(number_of(row, bytes_column)) + ',' + field(text_of(row, file_column)) + '\n';
  }
  return QString::fromStdString(out);
}

}  // namespace moescope
