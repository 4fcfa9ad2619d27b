#include "app/desktop/view_table.h"

#include "views/experts/experts_view.h"

namespace moescope {

std::vector<ViewSpec> all_views() {
  return {experts_view_spec()};
}

}  // namespace moescope
