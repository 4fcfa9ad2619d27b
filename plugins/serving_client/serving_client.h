// The ServingClient over HTTP: a few threads that each send one prompt at a time, and one that watches for a cancel.
// Made by the module's entry point and by tests.
#pragma once

#include "core/engine/serving.h"

namespace moescope::serving {

class HttpServingClient : public ServingClient {
 public:
  [[nodiscard]] Expected<ServingReport> capture(const ServingRequest& request, const WorkContext& work) override;
};

}  // namespace moescope::serving
