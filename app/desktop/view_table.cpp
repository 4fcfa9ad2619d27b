#include "app/desktop/view_table.h"

#include "views/affinity/affinity_view.h"
#include "views/experts/experts_view.h"
#include "views/tokens/tokens_view.h"
#include "views/weights/weights_view.h"
#ifdef MOESCOPE_HAS_ROUTES
#include "views/routes/routes_view.h"
#endif

namespace moescope {

std::vector<ViewSpec> all_views() {
  return {
      experts_view_spec(), affinity_view_spec(),
#ifdef MOESCOPE_HAS_ROUTES
      routes_view_spec(),
#endif
      tokens_view_spec(),  weights_view_spec(),
  };
}

}  // namespace moescope
