/// What vrun and pid 1 of the run say to each other.
///
/// Orders go down a pipe: first go, when the ids are written, then signals to pass on; its end of file means that vrun
/// is gone, and pid 1 ends the run. Reports come up a socket that keeps messages apart. Both are close-on-exec, and the
/// command can open neither: pid 1 is not dumpable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/host/fd.h"
#include "policy/remedies.h"

namespace vrun {

/// A signal for the command alone, or for its process group, as the terminal sends them.
struct Order {
  std::int32_t signal = 0;  ///< 0: go
  bool group = false;
  bool foreground = false;  ///< the group gets the run's terminal first
};

enum class ReportKind : std::uint32_t {
  terminal,      ///< `descriptor` is the run's terminal
  memory,        ///< `descriptor` is a directory on a memory file system of the run's, `text` its path
  stopped,       ///< the command was stopped by the signal `status`
  setup_failed,  ///< `text` is the message, `step` and `error_number` say where; the command was not started
  not_executed,  ///< execve(2) failed with `error_number`; `text` is the message
  ended,         ///< `status` as from waitpid(2)
};
struct Report {
  ReportKind kind = ReportKind::setup_failed;
  SetupStep step = SetupStep::namespaces;
  int error_number = 0;
  int status = 0;
  std::string text;
  Fd descriptor;
};

/// The two ends of the way reports take.
struct ReportChannel {
  Fd vrun;
  Fd init;
};
ReportChannel make_report_channel();

/// False when it could not be sent.
bool send_order(int fd, const Order& order);
/// Blocks until an order comes; nothing at end of file.
std::optional<Order> receive_order(int fd);
void send_report(int fd, const Report& report);
/// Blocks until a report comes; nothing when the other side is gone.
std::optional<Report> receive_report(int fd);

}  // namespace vrun
