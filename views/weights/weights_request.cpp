#include "views/weights/weights_request.h"

#include <QObject>
#include <cmath>

#include "core/analysis/weights/checkpoint_analysis.h"
#include "views/common/figure_widget.h"

namespace moescope {
namespace {

// Work that probably takes longer than this is offered instead of begun.
constexpr double offer_seconds = 15;

QString about_seconds(double seconds) {
  if (seconds < 90) return QObject::tr("about %1 seconds").arg(std::lround(seconds / 10) * 10);
  if (seconds < 5400) return QObject::tr("about %1 minutes").arg(std::lround(seconds / 60));
  return QObject::tr("about %1 hours").arg(std::lround(seconds / 3600));
}

}  // namespace

WeightsRequest::WeightsRequest(ViewContext& context, std::string analysis, std::function<void()> changed)
    : context_(context), analysis_(std::move(analysis)), changed_(std::move(changed)) {}

void WeightsRequest::want(const nlohmann::json& params) {
  const Source* source = context_.workbench.active_checkpoint();
  if (!source || !source->checkpoint) return;
  if (state_ != State::none && source->hash == source_ && params == params_) return;
  source_ = source->hash;
  params_ = params;
  result_.reset();
  error_.reset();
  ++serial_;
  seconds_ = estimated_seconds(analysis_, *source->checkpoint, params);
  if (seconds_ > offer_seconds) {
    if (ResultPtr known = context_.workbench.known_result(analysis_, params)) return arrived(known);
    state_ = State::offered;
    return changed_();
  }
  begin();
}

void WeightsRequest::begin() {
  state_ = State::waiting;
  changed_();
  context_.workbench.request_result("weights." + analysis_, analysis_, params_,
                                    [this, mine = ++serial_](const Expected<ResultPtr>& result) {
                                      if (mine == serial_) arrived(result);
                                    });
}

void WeightsRequest::arrived(const Expected<ResultPtr>& result) {
  if (result) {
    result_ = *result;
    state_ = State::ready;
  } else if (result.error().kind == ErrorKind::cancelled) {
    state_ = State::stopped;
  } else {
    error_ = result.error();
    state_ = State::failed;
    context_.show_error(*error_);
  }
  changed_();
}

void WeightsRequest::show_in(FigureWidget& figure) {
  const CheckpointAnalysisSpec* spec = find_checkpoint_analysis(analysis_);
  const QString title = spec ? QString::fromStdString(spec->about.title) : QString();
  switch (state_) {
    case State::none:
      return figure.set_message({});
    case State::waiting:
      figure.set_message({});
      return figure.set_waiting(true);
    case State::offered:
      figure.set_message(QObject::tr("%1: this takes %2 here.").arg(title, about_seconds(seconds_)),
                         QObject::tr("It runs in the background and can be stopped."));
      return figure.set_action(QObject::tr("Compute"), [this] { begin(); });
    case State::stopped:
      figure.set_message(QObject::tr("%1: stopped.").arg(title), QObject::tr("Nothing of it was kept."));
      return figure.set_action(QObject::tr("Compute again"), [this] { begin(); });
    case State::failed:
      return figure.set_message(QString::fromStdString(error_->what), QString::fromStdString(error_->advice));
    case State::ready:
      return;
  }
}

}  // namespace moescope
