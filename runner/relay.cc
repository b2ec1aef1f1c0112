#include "runner/relay.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "policy/error.h"
#include "runner/sys/process.h"

namespace vrun {
namespace {

constexpr std::size_t kBufferSize = 64UL * 1024;

StreamKind kind_of(int fd, struct stat& status) {
  if (::fstat(fd, &status) != 0) throw Error("cannot look at standard stream " + std::to_string(fd), "", errno);
  if (S_ISREG(status.st_mode)) return StreamKind::file;
  return S_ISCHR(status.st_mode) && ::isatty(fd) == 1 ? StreamKind::terminal : StreamKind::direct;
}

/// Only pipes of pipe(2): the owner of a named one is on a disk and somebody else's business.
void give_pipe(int fd, const Identity& identity) {
  struct statfs status {};
  if (!identity.drop || ::fstatfs(fd, &status) != 0 || status.f_type != PIPEFS_MAGIC) return;
  if (::fchown(fd, identity.uid, identity.gid) != 0) throw Error("cannot give the run its pipe", "", errno);
}

void do_not_block(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

void Flow::read_once() {
  buffer_.resize(kBufferSize);
  const ssize_t count = ::read(from_, buffer_.data(), buffer_.size());
  begin_ = end_ = 0;
  if (count > 0) {
    end_ = static_cast<std::size_t>(count);
  } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    from_ = -1;  // EIO is how a terminal says that its other side is closed
  }
}

void Flow::write_once() {
  const ssize_t count = ::write(to_, buffer_.data() + begin_, end_ - begin_);
  if (count >= 0) {
    begin_ += static_cast<std::size_t>(count);
  } else if (errno != EINTR && errno != EAGAIN) {
    error_number_ = errno;
    end();
  }
}

Relay::Relay(const Identity& identity) {
  std::array<struct stat, 3> status{};
  for (std::size_t i = 0; i < 3; ++i) {
    streams_.kinds[i] = kind_of(static_cast<int>(i), status[i]);
    if (streams_.kinds[i] == StreamKind::terminal && streams_.terminal < 0) streams_.terminal = static_cast<int>(i);
  }
  streams_.error_is_output = streams_.kinds[1] == StreamKind::file && streams_.kinds[2] == StreamKind::file &&
                             status[1].st_dev == status[2].st_dev && status[1].st_ino == status[2].st_ino;
  for (std::size_t i = 0; i < 3; ++i) {
    if (streams_.kinds[i] == StreamKind::direct) give_pipe(static_cast<int>(i), identity);
    if (streams_.kinds[i] != StreamKind::file || (i == 2 && streams_.error_is_output)) continue;
    sys::Pipe pipe = sys::make_pipe();
    give_pipe(pipe.read.get(), identity);
    const int file = static_cast<int>(i);
    if (i == 0) {
      do_not_block(pipe.write.get());
      streams_.pipes[i] = Fd(::fcntl(pipe.read.get(), F_DUPFD_CLOEXEC, 3));
      input_pipe_ = std::move(pipe.read);
      pipes_[i] = std::move(pipe.write);
      input_flow_ = flows_.size();
      flows_.emplace_back(file, pipes_[i].get());
    } else {
      streams_.pipes[i] = std::move(pipe.write);
      pipes_[i] = std::move(pipe.read);
      flows_.emplace_back(pipes_[i].get(), file);
    }
  }
}

void Relay::close_run_ends() {
  for (Fd& end : streams_.pipes) end.reset();
}

void Relay::connect_terminal(Fd master) {
  master_ = std::move(master);
  do_not_block(master_.get());
  const auto is_terminal = [&](std::size_t i) { return streams_.kinds[i] == StreamKind::terminal; };
  flows_.emplace_back(master_.get(), is_terminal(1) ? 1 : is_terminal(2) ? 2 : 0);
  modes_.emplace(streams_.terminal);
  // With output to a pipe, such as a pager's, the terminal's input may be meant for the program behind the pipe. Then
  // nothing is read until the run asks for it.
  if (is_terminal(0) && is_terminal(1)) want_input();
}

void Relay::want_input() {
  if (reads_terminal_ || streams_.kinds[0] != StreamKind::terminal) return;
  reads_terminal_ = true;
  flows_.emplace_back(0, master_.get());
  resume();
}

void Relay::add_events(std::vector<struct pollfd>& events) const {
  for (const Flow& flow : flows_) {
    struct pollfd event {-1, 0, 0};
    // In the background, reading the terminal would stop vrun (SIGTTIN).
    const bool background = flow.from() == 0 && reads_terminal_ && !(modes_ && modes_->raw());
    if (flow.wants_output())
      event = {flow.to(), POLLOUT, 0};
    else if (flow.wants_input() && !background)
      event = {flow.from(), POLLIN, 0};
    events.push_back(event);
  }
}

void Relay::handle(const std::vector<struct pollfd>& events, std::size_t first) {
  for (std::size_t i = 0; i < flows_.size() && first + i < events.size(); ++i) {
    Flow& flow = flows_[i];
    if (events[first + i].revents == 0) continue;
    if (flow.wants_output())
      flow.write_once();
    else if (flow.wants_input())
      flow.read_once();
    // The run sees the end of its input, or that nobody reads its output any more, when vrun's end closes.
    for (Fd& pipe : pipes_)
      if (flow.ended() && pipe.valid() && (pipe.get() == flow.to() || pipe.get() == flow.from())) pipe.reset();
  }
}

void Relay::resize() {
  if (master_.valid()) sys::copy_window_size(streams_.terminal, master_.get());
}

void Relay::suspend() {
  if (modes_) modes_->restore();
}

void Relay::resume() {
  if (reads_terminal_ && modes_ && sys::in_foreground(streams_.terminal)) modes_->make_raw();
  resize();
}

void Relay::finish() {
  // Without writers, each source answers with data, its end, or EIO, and never blocks.
  for (Flow& flow : flows_) {
    const bool output = flow.from() > 2;
    while (output && !flow.ended()) {
      if (flow.wants_output()) {
        flow.write_once();
      } else {
        struct pollfd event {flow.from(), POLLIN, 0};
        if (::poll(&event, 1, 0) <= 0) break;
        flow.read_once();
      }
    }
  }
  if (input_flow_) {
    int left = 0;
    ::ioctl(input_pipe_.get(), FIONREAD, &left);
    const off_t unread = static_cast<off_t>(left) + static_cast<off_t>(flows_[*input_flow_].held());
    if (unread > 0) ::lseek(0, -unread, SEEK_CUR);
  }
  suspend();
}

std::optional<std::string> Relay::lost_output() const {
  for (const Flow& flow : flows_)
    if (flow.error_number() != 0 && (flow.to() == 1 || flow.to() == 2))
      return Error(flow.to() == 1 ? "cannot write standard output" : "cannot write standard error", "",
                   flow.error_number())
          .what();
  return std::nullopt;
}

}  // namespace vrun
