// WeightsRequest: one Result of the active checkpoint, computed in a job. What would take long is offered first and
// begun by the user; a job that was stopped can be begun again. Main thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "views/common/view.h"

namespace moescope {

class FigureWidget;

class WeightsRequest {
 public:
  // `changed` is told whenever there is something else to show.
  WeightsRequest(ViewContext& context, std::string analysis, std::function<void()> changed);

  // Asks for the Result with these parameters, unless it is there, on its way, or waits for begin().
  void want(const nlohmann::json& params);
  // Computes what was offered or stopped.
  void begin();

  [[nodiscard]] const ResultPtr& result() const { return result_; }  // null until it is there
  [[nodiscard]] bool waiting() const { return state_ == State::waiting; }
  // Shows in a figure why there is no Result yet.
  void show_in(FigureWidget& figure);

 private:
  enum class State { none, offered, waiting, ready, stopped, failed };
  void arrived(const Expected<ResultPtr>& result);

  ViewContext& context_;
  std::string analysis_;
  std::function<void()> changed_;
  State state_ = State::none;
  nlohmann::json params_;
  std::string source_;  // hash of the checkpoint that was asked about
  ResultPtr result_;
  std::optional<Error> error_;
  double seconds_ = 0;
  std::uint64_t serial_ = 0;  // of the request that may still answer
};

}  // namespace moescope
