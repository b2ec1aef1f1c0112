/// What a fuzz target holds its subject to.
#pragma once

#include <cstdlib>

/// Ends the process, which the fuzzer takes for a fault, when it does not hold.
inline void check(bool holds) {
  if (!holds) std::abort();
}
