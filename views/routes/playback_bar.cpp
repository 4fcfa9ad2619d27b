#include "views/routes/playback_bar.h"

#include <QBoxLayout>
#include <QComboBox>
#include <QCoreApplication>
#include <QLabel>
#include <QLocale>
#include <QSignalBlocker>
#include <QSlider>
#include <QThreadPool>
#include <QToolButton>
#include <cmath>
#include <map>

#include "core/base/ids.h"
#include "views/common/controls.h"
#include "views/common/fonts.h"
#include "views/common/icons.h"
#include "views/common/theme.h"

namespace moescope {
namespace {

// Token text as running text shows it: spaces as dots, line ends as arrows.
QString visible(const std::string& bytes) {
  QString text = QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
  text.replace(QLatin1Char('\n'), QStringLiteral("↵"));
  text.replace(QLatin1Char('\t'), QStringLiteral("⇥"));
  text.replace(QLatin1Char(' '), QStringLiteral("·"));
  return text.toHtmlEscaped();
}

// The first experts of every layer; `letters` is the length of what one sees.
QString experts_line(const Trace& trace, const TokenRoute& route, std::size_t most, bool weights, int& letters) {
  QString line;
  const QString dim = color(ColorRole::text_3).name(), strong = color(ColorRole::text_1).name();
  for (const TokenRoute::Step& step : route.steps) {
    const int layer = step.row < trace.rows().size() ? trace.rows()[step.row].layer : static_cast<int>(step.row);
    const QString label = QStringLiteral("L%1 ").arg(layer);
    QString words;
    for (std::size_t i = 0; i < std::min(step.experts.size(), most); ++i) {
      words += QStringLiteral("E%1 ").arg(step.experts[i], 2, 10, QLatin1Char('0'));
      if (weights && i < step.weights.size() && !std::isnan(step.weights[i]))
        words += QStringLiteral("%1 ").arg(step.weights[i], 0, 'f', 2);
    }
    letters += static_cast<int>(label.size() + words.size()) + 1;
    line += QStringLiteral("<span style='color:%1'>%2</span><span style='color:%3'>%4</span>&nbsp;")
                .arg(dim, label, strong, words);
  }
  return line;
}

}  // namespace

std::vector<SequenceTokens> sequences_of(const Trace& trace) {
  std::vector<SequenceTokens> out;
  std::map<std::int32_t, std::size_t> index;
  std::uint64_t base = 0;
  for (const auto& segment : trace.segments) {
    for (std::size_t token = 0; token < segment->tokens; ++token) {
      const std::int32_t id = segment->sequence_ids.empty() ? 0 : segment->sequence_ids[token];
      const auto [found, added] = index.emplace(id, out.size());
      if (added) {
        SequenceTokens sequence;
        sequence.id = id;
        const auto tag = segment->tags.find("domain");
        if (tag != segment->tags.end() && !tag->second.codes.empty()) {
          const std::int32_t code = tag->second.codes[token];
          if (code >= 0 && static_cast<std::size_t>(code) < tag->second.names.size()) {
            sequence.tag = tag->second.names[static_cast<std::size_t>(code)];
          }
        }
        out.push_back(std::move(sequence));
      }
      out[found->second].tokens.push_back(base + token);
    }
    base += segment->tokens;
  }
  return out;
}

PlaybackBar::PlaybackBar(QWidget* parent)
    : QWidget(parent),
      back_(icon_button(QStringLiteral("back"), tr("Previous token"), this)),
      play_(icon_button(QStringLiteral("run"), tr("Play token by token"), this)),
      forward_(icon_button(QStringLiteral("forward"), tr("Next token"), this)),
      slider_(new QSlider(Qt::Horizontal, this)),
      count_(new QLabel(this)),
      choose_(new QComboBox(this)),
      text_(new QLabel(this)),
      experts_(new QLabel(this)) {
  auto* rows = new QVBoxLayout(this);
  rows->setContentsMargins(16, 8, 16, 8);
  rows->setSpacing(6);
  auto* bar = new QHBoxLayout;
  bar->setSpacing(8);
  count_->setMinimumWidth(110);
  count_->setFont(mono_font());
  choose_->setMinimumWidth(180);
  slider_->setAccessibleName(tr("Token of the sequence"));
  choose_->setAccessibleName(tr("Sequence"));
  for (QWidget* widget : {static_cast<QWidget*>(back_), static_cast<QWidget*>(play_), static_cast<QWidget*>(forward_),
                          static_cast<QWidget*>(count_)}) {
    bar->addWidget(widget);
  }
  bar->addWidget(slider_, 1);
  bar->addWidget(new QLabel(tr("Sequence"), this));
  bar->addWidget(choose_);
  rows->addLayout(bar);
  for (QLabel* line : {text_, experts_}) {
    line->setTextFormat(Qt::RichText);
    line->setFont(mono_font());
    line->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    rows->addWidget(line);
  }
  connect(back_, &QToolButton::clicked, this, [this] { Q_EMIT token_wanted(next(-1)); });
  connect(forward_, &QToolButton::clicked, this, [this] { Q_EMIT token_wanted(next(1)); });
  connect(play_, &QToolButton::clicked, this, &PlaybackBar::play_toggled);
  connect(slider_, &QSlider::valueChanged, this, [this](int value) {
    if (sequence_ < sequences_.size() && static_cast<std::size_t>(value) < sequences_[sequence_].tokens.size()) {
      Q_EMIT token_wanted(sequences_[sequence_].tokens[static_cast<std::size_t>(value)]);
    }
  });
  connect(choose_, &QComboBox::activated, this, [this](int index) {
    if (index >= 0 && static_cast<std::size_t>(index) < sequences_.size()) {
      Q_EMIT token_wanted(sequences_[static_cast<std::size_t>(index)].tokens.front());
    }
  });
}

PlaybackBar::~PlaybackBar() {
  ++*generation_;
}

void PlaybackBar::set_trace(std::shared_ptr<const Trace> trace) {
  const std::uint64_t mine = ++*generation_;
  show_sequences({});
  busy_ = trace && trace->has_ids();
  if (!busy_) return;
  text_->clear();
  QThreadPool::globalInstance()->start([this, mine, generation = generation_, trace = std::move(trace)] {
    auto made = std::make_shared<std::vector<SequenceTokens>>(sequences_of(*trace));
    QMetaObject::invokeMethod(
        qApp,
        [this, mine, generation, made] {
          if (*generation != mine) return;
          busy_ = false;
          show_sequences(std::move(*made));
          Q_EMIT ready();
        },
        Qt::QueuedConnection);
  });
}

void PlaybackBar::show_sequences(std::vector<SequenceTokens> sequences) {
  sequences_ = std::move(sequences);
  sequence_ = position_ = 0;
  const QSignalBlocker quiet(choose_);
  choose_->clear();
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    QString name = tr("%1 of %2").arg(i + 1).arg(sequences_.size());
    if (!sequences_[i].tag.empty()) name += QStringLiteral(", ") + QString::fromStdString(sequences_[i].tag);
    choose_->addItem(name);
  }
  setEnabled(has_tokens());
  if (!has_tokens()) {
    count_->clear();
    text_->setText(tr("This trace has no tokens to follow."));
    experts_->clear();
  }
}

void PlaybackBar::set_token(const Trace& trace, std::uint64_t token, const TokenRoute& route) {
  for (std::size_t s = 0; s < sequences_.size(); ++s) {
    const auto& tokens = sequences_[s].tokens;
    const auto found = std::lower_bound(tokens.begin(), tokens.end(), token);
    if (found == tokens.end() || *found != token) continue;
    sequence_ = s;
    position_ = static_cast<std::size_t>(found - tokens.begin());
    break;
  }
  if (sequence_ >= sequences_.size()) return;
  const QSignalBlocker quiet_slider(slider_), quiet_choose(choose_);
  slider_->setRange(0, static_cast<int>(sequences_[sequence_].tokens.size()) - 1);
  slider_->setValue(static_cast<int>(position_));
  choose_->setCurrentIndex(static_cast<int>(sequence_));
  count_->setText(
      tr("%1 of %2")
          .arg(QLocale::c().toString(position_ + 1), QLocale::c().toString(sequences_[sequence_].tokens.size())));
  fill_text(trace);
  // As much of every layer as the line holds: two experts with weights, one, or one without its weight.
  QString experts;
  const QFontMetrics metrics(experts_->font());
  for (const auto& [most, weights] : {std::pair{2, true}, {1, true}, {1, false}}) {
    int letters = 0;
    experts = experts_line(trace, route, static_cast<std::size_t>(most), weights, letters);
    if (letters * metrics.horizontalAdvance(QLatin1Char('0')) <= experts_->width()) break;
  }
  experts_->setText(experts);
}

void PlaybackBar::fill_text(const Trace& trace) {
  const auto& tokens = sequences_[sequence_].tokens;
  const std::size_t first = position_ > 18 ? position_ - 18 : 0;
  const std::size_t last = std::min(tokens.size(), first + 70);
  QString line;
  for (std::size_t i = first; i < last; ++i) {
    const QString piece = visible(trace.token_text(tokens[i]));
    if (i == position_) {
      line += QStringLiteral("<span style='background:%1;color:%2'>%3</span>")
                  .arg(color(ColorRole::accent).name(), color(ColorRole::text_on_accent).name(), piece);
    } else {
      line += QStringLiteral("<span style='color:%1'>%2</span>")
                  .arg(color(i < position_ ? ColorRole::text_1 : ColorRole::text_3).name(), piece);
    }
  }
  text_->setText(line);
}

void PlaybackBar::set_playing(bool playing) {
  play_->setIcon(icon(playing ? QStringLiteral("pause") : QStringLiteral("run")));
  play_->setToolTip(playing ? tr("Pause") : tr("Play token by token"));
}

std::uint64_t PlaybackBar::next(int step) const {
  if (sequence_ >= sequences_.size()) return 0;
  const auto& tokens = sequences_[sequence_].tokens;
  const auto count = static_cast<std::ptrdiff_t>(tokens.size());
  const std::ptrdiff_t at = (static_cast<std::ptrdiff_t>(position_) + step % count + count) % count;
  return tokens[static_cast<std::size_t>(at)];
}

}  // namespace moescope
