/// Texts that are made from the table of options. Those that are kept in the repository are compared with these by
/// tests/unit/option_table_test.cc.
#pragma once

#include <string>

namespace vrun {

// Completions, contrib/completions/.
std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

/// The JSON Schema of policy files, docs/vrun.schema.json.
std::string json_schema();

}  // namespace vrun
