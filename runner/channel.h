/// The two pipes between vrun and pid 1 of the run.
///
/// `orders` goes down: one byte of go when the ids are written, then signals to pass on; its end of file means that vrun
/// is gone and pid 1 ends the run. `reports` goes up: exactly one report. Both are close-on-exec, and the command can
/// open neither: pid 1 is not dumpable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/remedies.h"

namespace vrun {

/// A signal for the command alone, or for its process group, as the terminal sends them.
struct Order {
  std::int32_t signal = 0;  ///< 0: go
  bool group = false;
};

enum class ReportKind : std::uint32_t {
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
};

void send_order(int fd, const Order& order);
/// Blocks until an order comes; nothing at end of file.
std::optional<Order> receive_order(int fd);
void send_report(int fd, const Report& report);
/// Blocks until a report comes; nothing when the other side went away without one.
std::optional<Report> receive_report(int fd);

}  // namespace vrun
