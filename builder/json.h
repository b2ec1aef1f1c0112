/// JSON, for programs: what --json prints. Text from outside that is not UTF-8 is given with \xNN for each such byte.
#pragma once

#include <string>
#include <vector>

#include "builder/doctor.h"
#include "builder/inspect.h"

namespace vrun::builder {

/// What a build did, for --json.
struct BuildReport {
  struct Step {
    std::string text;  ///< escaped
    long long microseconds = 0;
  };
  struct Seed {
    std::string project;
    std::string version;
    bool installed = false;  ///< false: it, or a newer one, was there
  };
  struct Installed {
    std::string project;
    std::string version;
  };
  struct Environment {
    std::string path;   ///< absolute
    std::string state;  ///< "created", "reused" or "repaired"
    std::vector<Seed> seeds;
    std::vector<Installed> installed;  ///< wheels that were given
    std::vector<std::string> notices;  ///< escaped
    std::vector<Step> steps;
  };
  std::string python;   ///< what bin/python leads to
  std::string version;  ///< "3.11.2"
  std::string implementation;
  std::vector<Step> steps;  ///< that all environments have in common
  std::vector<Environment> environments;
  std::string error;  ///< why the rest was not made, escaped; empty when everything was
};

// Each is one object of the schema named beside it, and an end of line.

std::string to_json(const Inspection& inspection);  ///< vbuild.inspect/1
std::string to_json(const Diagnosis& diagnosis);    ///< vbuild.doctor/1
std::string to_json(const BuildReport& report);     ///< vbuild.build/1

}  // namespace vrun::builder
