#include "builder/json.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "builder/text.h"
#include "policy/error.h"
#include "policy/host/elf.h"

namespace vrun::builder {
namespace {

using Json = nlohmann::ordered_json;

/// The library throws for text that is not UTF-8.
std::string valid(const std::string& text) { return is_valid_utf8(text) ? text : escape(text); }

Json valid(const std::vector<std::string>& texts) {
  Json array = Json::array();
  for (const std::string& text : texts) array.push_back(valid(text));
  return array;
}

Json valid(const std::optional<std::string>& text) { return text ? Json(valid(*text)) : Json(); }

/// What is not known is null.
Json known(const std::string& text) { return text.empty() ? Json() : Json(valid(text)); }

/// Indented, and in ASCII: a terminal shows it as it is.
std::string finish(const Json& json) { return json.dump(2, ' ', true) + "\n"; }

Json config_of(const PyvenvConfig& config) {
  return {{"home", valid(config.home)},
          {"include_system_site_packages", config.include_system_site_packages},
          {"version", valid(config.version)},
          {"prompt", valid(config.prompt)},
          {"executable", valid(config.executable)},
          {"base_executable", valid(config.base_executable)}};
}

Json base_of(const Inspection& inspection) {
  const Interpreter& base = *inspection.base;
  return {{"executable", valid(base.executable)},
          {"real_executable", valid(base.real_executable)},
          {"implementation", base.implementation == Implementation::pypy ? "pypy" : "cpython"},
          {"version", base.version.text()},
          {"cache_tag", base.cache_tag()},
          {"free_threaded", base.free_threaded},
          {"debug", base.debug},
          {"bits", base.is_64bit ? 64 : 32},
          {"machine", machine_name(base.machine)},
          {"multiarch", known(base.multiarch)},
          {"prefix", valid(base.prefix)},
          {"platlibdir", valid(base.platlibdir)},
          {"stdlib", valid(base.stdlib)},
          {"libpython", known(base.libpython)},
          {"package_directories", valid(inspection.package_directories)},
          {"wheels", valid(inspection.wheels)},
          {"wheels_problem", known(inspection.wheels_problem)}};
}

Json steps_of(const std::vector<BuildReport::Step>& steps) {
  Json array = Json::array();
  for (const BuildReport::Step& step : steps)
    array.push_back({{"text", valid(step.text)}, {"microseconds", step.microseconds}});
  return array;
}

}  // namespace

std::string to_json(const Inspection& inspection) {
  Json links = Json::array();
  for (const Link& link : inspection.python_links)
    links.push_back({{"path", valid(link.path)}, {"target", valid(link.target)}});
  Json distributions = Json::array();
  for (const Distribution& distribution : inspection.distributions)
    distributions.push_back({{"name", valid(distribution.name)},
                             {"version", known(distribution.version)},
                             {"directory", valid(distribution.directory)}});
  return finish({{"schema", "vbuild.inspect/1"},
                 {"path", valid(inspection.path)},
                 {"real_path", valid(inspection.real_path)},
                 {"config", inspection.config ? config_of(*inspection.config) : Json()},
                 {"python", valid(inspection.python)},
                 {"python_links", std::move(links)},
                 {"base", inspection.base ? base_of(inspection) : Json()},
                 {"site_packages", valid(inspection.site_packages)},
                 {"distributions", std::move(distributions)},
                 {"distributions_complete", inspection.distributions_complete},
                 {"problem", known(inspection.problem)}});
}

std::string to_json(const Diagnosis& diagnosis) {
  Json findings = Json::array();
  for (const Finding& finding : diagnosis.findings)
    findings.push_back({{"severity", name_of(finding.severity)},
                        {"check", name_of(finding.check)},
                        {"path", valid(finding.path)},
                        {"text", valid(finding.text)},
                        {"remedy", known(finding.remedy)}});
  return finish({{"schema", "vbuild.doctor/1"},
                 {"path", valid(diagnosis.path)},
                 {"findings", std::move(findings)},
                 {"mended", valid(diagnosis.mended)},
                 {"errors", diagnosis.count(Severity::error)},
                 {"warnings", diagnosis.count(Severity::warning)},
                 {"notes", diagnosis.count(Severity::note)}});
}

std::string to_json(const BuildReport& report) {
  Json environments = Json::array();
  for (const BuildReport::Environment& environment : report.environments) {
    Json seeds = Json::array();
    for (const BuildReport::Seed& seed : environment.seeds)
      seeds.push_back({{"project", seed.project}, {"version", valid(seed.version)}, {"installed", seed.installed}});
    Json installed = Json::array();
    for (const BuildReport::Installed& wheel : environment.installed)
      installed.push_back({{"project", wheel.project}, {"version", valid(wheel.version)}});
    environments.push_back({{"path", valid(environment.path)},
                            {"python", valid(report.python)},
                            {"version", report.version},
                            {"implementation", report.implementation},
                            {"state", environment.state},
                            {"seeds", std::move(seeds)},
                            {"installed", std::move(installed)},
                            {"notices", valid(environment.notices)},
                            {"steps", steps_of(environment.steps)}});
  }
  return finish({{"schema", "vbuild.build/1"},
                 {"steps", steps_of(report.steps)},
                 {"environments", std::move(environments)},
                 {"error", known(report.error)}});
}

}  // namespace vrun::builder
