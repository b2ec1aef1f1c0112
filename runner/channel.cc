#include "runner/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "policy/error.h"

namespace vrun {
namespace {

struct ReportHeader {
  ReportKind kind;
  SetupStep step;
  std::int32_t error_number;
  std::int32_t status;
};

constexpr std::size_t kMaximumText = 8192;

/// Room for one descriptor beside a message (cmsg(3)).
union Ancillary {
  char buffer[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

ssize_t read_retrying(int fd, void* buffer, std::size_t size) {
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer, size);
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

bool send_order(int fd, const Order& order) {
  ssize_t count = 0;
  do {
    count = ::write(fd, &order, sizeof order);
  } while (count < 0 && errno == EINTR);
  return count == static_cast<ssize_t>(sizeof order);
}

std::optional<Order> receive_order(int fd) {
  Order order;
  if (read_retrying(fd, &order, sizeof order) != static_cast<ssize_t>(sizeof order)) return std::nullopt;
  return order;
}

ReportChannel make_report_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    throw Error("cannot make a socket pair", "", errno);
  return {Fd(ends[0]), Fd(ends[1])};
}

void send_report(int fd, const Report& report) {
  ReportHeader header{report.kind, report.step, report.error_number, report.status};
  struct iovec parts[2] = {{&header, sizeof header},
                           {const_cast<char*>(report.text.data()), std::min(report.text.size(), kMaximumText)}};
  struct msghdr message {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  Ancillary ancillary{};
  if (report.descriptor.valid()) {
    message.msg_control = ancillary.buffer;
    message.msg_controllen = sizeof ancillary.buffer;
    struct cmsghdr* item = CMSG_FIRSTHDR(&message);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = report.descriptor.get();
    std::memcpy(CMSG_DATA(item), &number, sizeof number);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  // A reader that is gone has no use for it: this side notices by the end of file of the orders.
}

std::optional<Report> receive_report(int fd) {
  ReportHeader header{};
  std::string text(kMaximumText, '\0');
  struct iovec parts[2] = {{&header, sizeof header}, {text.data(), text.size()}};
  struct msghdr message {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  Ancillary ancillary{};
  message.msg_control = ancillary.buffer;
  message.msg_controllen = sizeof ancillary.buffer;
  ssize_t count = 0;
  do {
    count = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < static_cast<ssize_t>(sizeof header)) return std::nullopt;
  text.resize(static_cast<std::size_t>(count) - sizeof header);
  Report report{header.kind, header.step, header.error_number, header.status, std::move(text), {}};
  for (struct cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    int number = -1;
    std::memcpy(&number, CMSG_DATA(item), sizeof number);
    report.descriptor = Fd(number);
  }
  return report;
}

}  // namespace vrun
