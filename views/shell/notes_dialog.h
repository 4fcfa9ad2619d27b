// Notes: write one on what is selected, edit or remove one. Main thread only.
#pragma once

#include "views/common/view.h"

namespace moescope {

// Asks for a text and runs note.add, anchored to the selected expert or token.
void add_note(ViewContext& context, QWidget& window);
// Shows a note for editing; also offers to remove it.
void edit_note(ViewContext& context, QWidget& window, std::int64_t id);

}  // namespace moescope
