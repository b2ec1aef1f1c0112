#include "runner/channel.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace vrun {
namespace {

/// A report is one write of at most PIPE_BUF bytes, which pipe(7) promises to be atomic.
struct ReportHeader {
  ReportKind kind;
  SetupStep step;
  std::int32_t error_number;
  std::int32_t status;
};

ssize_t read_retrying(int fd, void* buffer, std::size_t size) {
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer, size);
  } while (count < 0 && errno == EINTR);
  return count;
}

void write_retrying(int fd, const void* buffer, std::size_t size) {
  ssize_t count = 0;
  do {
    count = ::write(fd, buffer, size);
  } while (count < 0 && errno == EINTR);
  // A reader that is gone has no use for it: the other side notices by the end of file.
}

}  // namespace

void send_order(int fd, const Order& order) { write_retrying(fd, &order, sizeof order); }

std::optional<Order> receive_order(int fd) {
  Order order;
  if (read_retrying(fd, &order, sizeof order) != static_cast<ssize_t>(sizeof order)) return std::nullopt;
  return order;
}

void send_report(int fd, const Report& report) {
  std::array<char, PIPE_BUF> buffer{};
  const ReportHeader header{report.kind, report.step, report.error_number, report.status};
  const std::size_t length = std::min(report.text.size(), buffer.size() - sizeof header);
  std::memcpy(buffer.data(), &header, sizeof header);
  std::memcpy(buffer.data() + sizeof header, report.text.data(), length);
  write_retrying(fd, buffer.data(), sizeof header + length);
}

std::optional<Report> receive_report(int fd) {
  std::array<char, PIPE_BUF> buffer{};
  const ssize_t count = read_retrying(fd, buffer.data(), buffer.size());
  ReportHeader header{};
  if (count < static_cast<ssize_t>(sizeof header)) return std::nullopt;
  std::memcpy(&header, buffer.data(), sizeof header);
  return Report{header.kind, header.step, header.error_number, header.status,
                std::string(buffer.data() + sizeof header, static_cast<std::size_t>(count) - sizeof header)};
}

}  // namespace vrun
