#include "policy/landlock.h"

#include <algorithm>
#include <map>
#include <string>

#include "policy/host/root.h"
#include "policy/layers.h"

namespace vrun {
namespace {

constexpr std::uint64_t kRead = kLandlockExecute | kLandlockReadFile | kLandlockReadDir;
constexpr std::uint64_t kWriteFile = kLandlockWriteFile | kLandlockTruncate;
/// All but making devices.
constexpr std::uint64_t kWriteDirectory = kWriteFile | kLandlockRemoveDir | kLandlockRemoveFile | kLandlockMakeDir |
                                          kLandlockMakeReg | kLandlockMakeSock | kLandlockMakeFifo | kLandlockMakeSym |
                                          kLandlockRefer;

std::uint64_t handled_files(int abi) {
  if (abi < 2) return 0;
  std::uint64_t rights = kRead | kWriteDirectory | kLandlockMakeChar | kLandlockMakeBlock;
  if (abi < 3) rights &= ~std::uint64_t{kLandlockTruncate};
  if (abi >= 5) rights |= kLandlockIoctlDev;
  return rights;
}

/// What each kind of step lets the run do beside reading, at which path.
struct Collector {
  std::map<std::string, std::uint64_t>& rights;
  void operator()(const MakeDirectory&) const {}
  void operator()(const MakeLink&) const {}
  void operator()(const MakeFile&) const {}
  void operator()(const MountMemory& step) const {
    if (step.path != "/") rights[step.path] |= kWriteDirectory;
  }
  void operator()(const Bind& step) const {
    // Devices are all in /dev, and nothing else is.
    if (step.kind == FileKind::device)
      rights["/dev"] |= kWriteFile | kLandlockIoctlDev;
    else if (step.access == Access::read_write)
      rights[step.target] |= step.kind == FileKind::directory ? kWriteDirectory : kWriteFile;
  }
  void operator()(const Mask&) const {}
  /// Writable only below something writable, which has its own rule.
  void operator()(const Hold&) const {}
  void operator()(const MountProc& step) const { rights[step.path] |= kWriteFile; }
  void operator()(const MountTerminals&) const { rights["/dev"] |= kWriteFile | kLandlockIoctlDev; }
  /// Memory that was written only to have places in it.
  void operator()(const Seal& step) const { rights.erase(step.path); }
};

}  // namespace

Landlock plan_landlock(const std::vector<Step>& steps, int abi, bool nested) {
  Landlock landlock;
  if (kept("landlock") && abi >= 6) landlock.scopes = kLandlockScopeAbstractSocket | kLandlockScopeSignal;
  if (kept("landlock-files") && !nested) landlock.handled = handled_files(abi);
  if (landlock.handled == 0) return landlock;

  std::map<std::string, std::uint64_t> rights;
  for (const Step& step : steps) std::visit(Collector{rights}, step);
  rights["/"] = kRead;
  for (const auto& [path, wanted] : rights) {
    std::uint64_t above = 0;
    for (const LandlockRule& rule : landlock.rules)
      if (is_within(path, rule.path)) above |= rule.rights;
    const std::uint64_t more = wanted & landlock.handled & ~above;
    if (more != 0) landlock.rules.push_back({path, wanted & landlock.handled});
  }
  return landlock;
}

}  // namespace vrun
