/// --upgrade-deps: the one case in which Python is started, for only pip knows how to ask an index.
#pragma once

#include <string>
#include <vector>

namespace vrun::builder {

/// Runs `python -m pip install --upgrade PROJECT...` as venv does: in `directory`, with VIRTUAL_ENV set to it and
/// without PYTHONHOME and PYTHONPATH, its standard output discarded. Throws Error when it does not succeed.
void upgrade_projects(const std::string& python, const std::string& directory,
                      const std::vector<std::string>& projects);

}  // namespace vrun::builder
