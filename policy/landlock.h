/// The file rules of Landlock, made from the steps of a view: a second engine below the mounts. It holds for what never
/// was a part of the view, such as a directory of the host that somebody hands in by its descriptor, and should a mount
/// have another effect than was meant.
///
/// Rules add up from a file to the root and cannot take away: what is read-only below something writable is left to the
/// mounts alone.
#pragma once

#include <vector>

#include "policy/plan.h"

namespace vrun {

/// The rights of linux/landlock.h; headers of distributions are often older than the kernel.
enum LandlockRight : std::uint64_t {
  kLandlockExecute = 1U << 0U,
  kLandlockWriteFile = 1U << 1U,
  kLandlockReadFile = 1U << 2U,
  kLandlockReadDir = 1U << 3U,
  kLandlockRemoveDir = 1U << 4U,
  kLandlockRemoveFile = 1U << 5U,
  kLandlockMakeChar = 1U << 6U,
  kLandlockMakeDir = 1U << 7U,
  kLandlockMakeReg = 1U << 8U,
  kLandlockMakeSock = 1U << 9U,
  kLandlockMakeFifo = 1U << 10U,
  kLandlockMakeBlock = 1U << 11U,
  kLandlockMakeSym = 1U << 12U,
  kLandlockRefer = 1U << 13U,     ///< ABI 2: links and renames from one directory to another
  kLandlockTruncate = 1U << 14U,  ///< ABI 3
  kLandlockIoctlDev = 1U << 15U,  ///< ABI 5
};
/// What Landlock lets be done with something that is no directory.
inline constexpr std::uint64_t kLandlockFileRights =
    kLandlockExecute | kLandlockWriteFile | kLandlockReadFile | kLandlockTruncate | kLandlockIoctlDev;

/// Scopes, ABI 6.
inline constexpr std::uint64_t kLandlockScopeAbstractSocket = 1U << 0U;
inline constexpr std::uint64_t kLandlockScopeSignal = 1U << 1U;

/// Rules for the view that `steps` build, on a kernel with `abi` of Landlock (0: none). No file rules below ABI 2,
/// which forbids every rename between directories, nor with `nested` namespaces, for a process under file rules can
/// make no mounts. In the order of paths, a directory before what is in it.
Landlock plan_landlock(const std::vector<Step>& steps, int abi, bool nested);

}  // namespace vrun
