/// What of the operating system an interpreter needs, for runs that see nothing else of it (--no-system).
#pragma once

#include <string>
#include <vector>

#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun {

/// Shared libraries that the interpreter `base`, its libpython and the extension modules of its standard library (the
/// directory `stdlib`, without links) need, with those that they need in turn; those that compiled packages expect
/// everywhere; and the data that the standard library reads: time zones, locales, terminals, certificates. Sorted by
/// path; what several links lead to is there for each.
///
/// What is not found is left out: it is missing outside too, or is in a directory that only ld.so.conf(5) names.
/// The files are read as data, nothing is run. Throws Error when there are more libraries than an interpreter can
/// sensibly need, so that the cost of a start stays bounded.
std::vector<Resolved> read_system_closure(const Root& root, const Interpreter& base, const std::string& stdlib);

}  // namespace vrun
