// PlaybackBar: below the Routes scene: step and play through the tokens of a sequence, the text around the current one,
// and the experts it took at every layer. Main thread; it asks for tokens by signal and changes nothing itself.
#pragma once

#include <QWidget>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/figure/scene.h"
#include "core/trace/trace.h"

class QComboBox;
class QLabel;
class QSlider;
class QToolButton;

namespace moescope {

// Tokens of one sequence of a trace, in recorded order.
struct SequenceTokens {
  std::int32_t id = 0;
  std::string tag;  // its domain, when tagged
  std::vector<std::uint64_t> tokens;
};
[[nodiscard]] std::vector<SequenceTokens> sequences_of(const Trace& trace);

class PlaybackBar : public QWidget {
  Q_OBJECT
 public:
  explicit PlaybackBar(QWidget* parent = nullptr);
  ~PlaybackBar() override;
  // Lists the trace's sequences on a pool thread; ready() tells when that is done. Null = no trace.
  void set_trace(std::shared_ptr<const Trace> trace);
  [[nodiscard]] bool busy() const { return busy_; }
  // Shows `token` as the current one; `route` gives its experts per row.
  void set_token(const Trace& trace, std::uint64_t token, const TokenRoute& route);
  void set_playing(bool playing);
  // The next token of the current sequence, wrapping at its end.
  [[nodiscard]] std::uint64_t next(int step) const;
  [[nodiscard]] bool has_tokens() const { return !sequences_.empty(); }

 Q_SIGNALS:
  void ready();
  void token_wanted(quint64 token);
  void play_toggled();

 private:
  void show_sequences(std::vector<SequenceTokens> sequences);
  void fill_text(const Trace& trace);
  std::vector<SequenceTokens> sequences_;
  std::size_t sequence_ = 0, position_ = 0;
  bool busy_ = false;
  // Which trace the list is of; what a pool thread made for an earlier one, or for a bar that is gone, is dropped.
  std::shared_ptr<std::uint64_t> generation_ = std::make_shared<std::uint64_t>(0);
  QToolButton* back_;
  QToolButton* play_;
  QToolButton* forward_;
  QSlider* slider_;
  QLabel* count_;
  QComboBox* choose_;
  QLabel* text_;
  QLabel* experts_;
};

}  // namespace moescope
