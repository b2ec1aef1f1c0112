/// Which wheels an interpreter can use: compatibility tags (Platform compatibility tags, PyPA specifications; PEP 425,
/// 600, 656), known without running it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "builder/wheel.h"
#include "policy/host/root.h"
#include "policy/interpreter.h"

namespace vrun::builder {

/// What tags depend on besides the interpreter itself.
struct TagFacts {
  struct LibraryVersion {
    int major = 0;
    int minor = 0;
  };
  std::optional<LibraryVersion> glibc;  ///< of the C library that the interpreter is started with
  std::optional<LibraryVersion> musl;
  std::string pypy_abi;  ///< "pypy39_pp73"; empty for CPython, and where it is not known
};

/// Reads them from the files of the interpreter and of its C library. What cannot be found stays unknown: fewer wheels
/// fit then. Throws Error when a file that is there cannot be read.
TagFacts read_tag_facts(const Root& root, const Interpreter& python);

/// "cp311-cp311-manylinux_2_36_x86_64" and so on, the most specific first: what `pip debug --verbose` lists.
std::vector<std::string> supported_tags(const Interpreter& python, const TagFacts& facts);

/// Nothing when one of the wheel's tags is among `supported`; otherwise why not, with the supported tag that comes
/// nearest to one of them.
std::optional<std::string> find_misfit(const WheelName& wheel, const std::vector<std::string>& supported);

}  // namespace vrun::builder
