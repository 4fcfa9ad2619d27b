// The Engine on LibTorch. Made by the module's entry point; one run at a time.
#pragma once

#include "core/engine/engine.h"

namespace moescope::torch_engine {

class TorchEngine : public Engine {
 public:
  TorchEngine();
  Expected<EngineInfo> info() override;
  Expected<RunSummary> run(const RunRequest& request, const WorkContext& work) override;

 private:
  [[nodiscard]] Expected<RunSummary> run_on(const RunRequest& request, const WorkContext& work);
};

}  // namespace moescope::torch_engine
