/// Carrying out a layout. A new environment appears whole or not at all; an existing one has its files replaced one by
/// one, pyvenv.cfg last.
#pragma once

#include <vector>

#include "builder/layout.h"
#include "builder/target.h"
#include "builder/wheel.h"

namespace vrun::builder {

/// What becomes of the content of an existing directory.
enum class OldContent { kept, removed };

enum class Outcome {
  written,
  /// Another builder made ENV_DIR meanwhile; nothing was changed. Look again.
  overtaken,
};

/// Writes `layout` to `target`. `wheels` are those that its entries refer to. Throws Error, and then nothing is left
/// behind: a new ENV_DIR and its new parents are gone, an existing one is as before or, when the failure came while its
/// files were being replaced, has whole old and whole new files. SIGINT, SIGTERM and SIGHUP take effect afterwards.
Outcome write_environment(Target& target, const Layout& layout, const std::vector<Wheel>& wheels,
                          OldContent old_content);

}  // namespace vrun::builder
