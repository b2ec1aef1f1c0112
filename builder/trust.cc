#include "builder/trust.h"

#include <unistd.h>

namespace vrun::builder {

std::optional<std::string> find_other_writer(const struct stat& status, std::optional<uid_t> trusted) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid() && status.st_uid != trusted)
    return "it belongs to uid " + std::to_string(status.st_uid);
  if ((status.st_mode & S_IWOTH) != 0) return "everybody can change it";
  if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0 && status.st_gid != status.st_uid)
    return "the group " + std::to_string(status.st_gid) + " can change it";
  return std::nullopt;
}

}  // namespace vrun::builder
