// TensorModel: the rows of a Result of `tensors` that a search leaves, in the order of a column. Thousands of tensors
// filter and sort within a frame: words are compared as bytes, numbers as numbers. Main thread only.
#pragma once

#include <QAbstractTableModel>
#include <cstdint>
#include <string>
#include <vector>

#include "core/analysis/result.h"

namespace moescope {

class TensorModel : public QAbstractTableModel {
 public:
  using QAbstractTableModel::QAbstractTableModel;

  // The Result's table `tensors` is shown; null = nothing.
  void set_result(ResultPtr result);
  // Keeps the tensors whose name, type or file hold all words, whatever their case.
  void set_search(const QString& words);
  [[nodiscard]] std::size_t all() const { return rows_ ? rows_->size() : 0; }
  [[nodiscard]] std::uint64_t shown_bytes() const { return shown_bytes_; }
  // The shown rows as CSV, with a head.
  [[nodiscard]] QString csv() const;

  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  void sort(int column, Qt::SortOrder order) override;

 private:
  void filter();
  void arrange();

  ResultPtr result_;
  const std::vector<std::vector<Table::Cell>>* rows_ = nullptr;  // of the Result
  std::vector<std::string> hay_;                                 // lower case of what is searched, per row
  std::vector<std::uint32_t> shown_;
  std::vector<std::string> words_;
  std::uint64_t shown_bytes_ = 0;
  int column_ = -1;  // -1 = the Result's own order
  Qt::SortOrder order_ = Qt::AscendingOrder;
};

}  // namespace moescope
