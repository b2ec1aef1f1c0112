/// Groups of one user alone, as useradd(8) makes them by default (login.defs(5), USERGROUPS_ENAB): where they are used
/// the umask is often 002, and everything that a user writes is writable by the group.
#pragma once

#include <string_view>

namespace vrun {

/// Whether the texts of passwd(5) and group(5) prove that nobody but `uid` is in the group `gid`: it is the user's
/// primary group and nobody else's, has the user's name, and no other member. Whatever is doubtful is no: two entries
/// for one user or group, an entry that cannot be read, one that sends for other sources ("+"), a password with which
/// others could enter the group. Never for root.
///
/// Only these two files are asked, for the name service may be on the network and would run code of others here. What
/// it alone knows, such as members that a directory adds to a group of this machine, is not seen.
bool is_private_group(std::string_view passwd, std::string_view group, unsigned uid, unsigned gid);

}  // namespace vrun
