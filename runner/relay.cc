#include "runner/relay.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/error.h"
#include "policy/layers.h"
#include "runner/sys/process.h"

namespace vrun {
namespace {

constexpr std::size_t kBufferSize = 64UL * 1024;

StreamKind kind_of(int fd, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return StreamKind::file;
  if (S_ISFIFO(status.st_mode)) return StreamKind::pipe;
  if (S_ISSOCK(status.st_mode)) return StreamKind::socket;
  if (S_ISCHR(status.st_mode)) {
    // Documentation/admin-guide/devices.txt: memory devices 3, 5 and 7 are null, zero and full.
    const unsigned minor = ::minor(status.st_rdev);
    if (::major(status.st_rdev) == 1 && (minor == 3 || minor == 5 || minor == 7)) return StreamKind::harmless;
    if (::isatty(fd) == 1) return StreamKind::terminal;
  }
  if (!kept("stream-kinds")) return StreamKind::harmless;
  constexpr const char* kNames[] = {"standard input", "standard output", "standard error"};
  throw Error(std::string(kNames[fd]) + " is a directory or a device, which would lead the run out of its view")
      .hint("give it a file, a pipe, a socket or a terminal");
}

void do_not_block(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// Bytes in a pipe that nobody has read.
std::size_t left_in(int pipe) {
  int left = 0;
  return ::ioctl(pipe, FIONREAD, &left) == 0 && left > 0 ? static_cast<std::size_t>(left) : 0;
}

}  // namespace

void Flow::read_once() {
  buffer_.resize(kBufferSize);
  const ssize_t count = ::read(from_, buffer_.data(), buffer_.size());
  begin_ = end_ = 0;
  if (count > 0) {
    end_ = static_cast<std::size_t>(count);
    total_ += end_;
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

void Tap::offer() {
  const ssize_t count = ::tee(from_, to_, kBufferSize, SPLICE_F_NONBLOCK);
  if (count > 0) {
    offered_ = static_cast<std::size_t>(count);
  } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
    from_ = -1;
  }
}

void Tap::settle() {
  // The run can write into its own pipe and so seem to have taken less than it did; the rest is then left to the
  // caller.
  std::size_t taken = offered_ - std::min(offered_, left_in(run_end_));
  offered_ -= taken;
  char discarded[4096];
  while (taken > 0) {
    // Another reader of the caller's pipe may have been first; vrun must not wait for more then.
    struct pollfd there {
      from_, POLLIN, 0
    };
    if (::poll(&there, 1, 0) <= 0) break;
    const ssize_t count = ::read(from_, discarded, std::min(taken, sizeof discarded));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    taken -= static_cast<std::size_t>(count);
  }
  stalled_ = offered_ != 0;
}

void Relay::open_pipe(std::size_t stream, const Identity& identity) {
  sys::Pipe pipe = sys::make_pipe();
  // Root's pipe would not be the run's to open by the name /dev/stdout.
  if (identity.drop && ::fchown(pipe.read.get(), identity.uid, identity.gid) != 0)
    throw Error("cannot give the run its pipe", "", errno);
  const int own = static_cast<int>(stream);
  if (stream != 0) {
    streams_.pipes[stream] = std::move(pipe.write);
    pipes_[stream] = std::move(pipe.read);
    flows_.emplace_back(pipes_[stream].get(), own, stream);
    return;
  }
  do_not_block(pipe.write.get());
  streams_.pipes[0] = Fd(::fcntl(pipe.read.get(), F_DUPFD_CLOEXEC, 3));
  if (!streams_.pipes[0].valid()) throw Error("cannot copy a descriptor", "", errno);
  input_end_ = std::move(pipe.read);
  pipes_[0] = std::move(pipe.write);
  if (streams_.kinds[0] == StreamKind::pipe) {
    // One page: it has room again only when the run has taken everything.
    ::fcntl(pipes_[0].get(), F_SETPIPE_SZ, 4096);
    tap_.emplace(0, pipes_[0].get(), input_end_.get());
  } else {
    flows_.emplace_back(0, pipes_[0].get(), 0);
  }
}

Relay::Relay(const Identity& identity) {
  std::array<struct stat, 3> status{};
  for (std::size_t i = 0; i < 3; ++i) {
    const int fd = static_cast<int>(i);
    if (::fstat(fd, &status[i]) != 0) throw Error("cannot look at standard stream " + std::to_string(fd), "", errno);
    streams_.kinds[i] = kind_of(fd, status[i]);
    if (streams_.kinds[i] == StreamKind::terminal && streams_.terminal < 0) streams_.terminal = fd;
  }
  const auto copied = [&](std::size_t i) {
    return streams_.kinds[i] != StreamKind::terminal && streams_.kinds[i] != StreamKind::harmless;
  };
  streams_.error_is_output =
      copied(1) && copied(2) && status[1].st_dev == status[2].st_dev && status[1].st_ino == status[2].st_ino;
  for (std::size_t i = 0; i < 3; ++i)
    if (copied(i) && !(i == 2 && streams_.error_is_output)) open_pipe(i, identity);
}

void Relay::close_run_ends() {
  for (Fd& end : streams_.pipes) end.reset();
}

void Relay::connect_terminal(Fd master) {
  master_ = std::move(master);
  do_not_block(master_.get());
  const auto is_terminal = [&](std::size_t i) { return streams_.kinds[i] == StreamKind::terminal; };
  flows_.emplace_back(master_.get(), is_terminal(1) ? 1 : is_terminal(2) ? 2 : 0, std::nullopt);
  modes_.emplace(streams_.terminal);
  // With output to a pipe, such as a pager's, the terminal's input may be meant for the program behind the pipe. Then
  // nothing is read until the run asks for it.
  if (is_terminal(0) && is_terminal(1)) want_input();
}

void Relay::want_input() {
  if (reads_terminal_ || streams_.kinds[0] != StreamKind::terminal) return;
  reads_terminal_ = true;
  flows_.emplace_back(0, master_.get(), std::nullopt);
  resume();
}

void Relay::add_events(std::vector<struct pollfd>& events) const {
  for (const Flow& flow : flows_) {
    struct pollfd event {
      - 1, 0, 0
    };
    // In the background, reading the terminal would stop vrun (SIGTTIN).
    const bool background = flow.from() == 0 && (in_background() || (reads_terminal_ && !modes_));
    if (flow.wants_output())
      event = {flow.to(), POLLOUT, 0};
    else if (flow.wants_input() && !background)
      event = {flow.from(), POLLIN, 0};
    events.push_back(event);
  }
  if (!tap_) return;
  if (tap_->stalled())
    events.push_back({-1, 0, 0});
  else if (tap_->wants_output())
    events.push_back({tap_->to(), POLLOUT, 0});
  else if (tap_->wants_input())
    events.push_back({tap_->from(), POLLIN, 0});
}

void Relay::handle(const std::vector<struct pollfd>& events, std::size_t first) {
  if (in_background()) resume();
  // Flows may have been added since the events were asked for; those come next time.
  const std::size_t asked = events.size() - first;
  for (std::size_t i = 0; i < std::min(flows_.size(), asked); ++i) {
    Flow& flow = flows_[i];
    if (events[first + i].revents == 0) continue;
    if (flow.wants_output())
      flow.write_once();
    else if (flow.wants_input())
      read(flow);
  }
  if (tap_ && !tap_->ended() && asked > 0 && (tap_->stalled() || events.back().revents != 0)) {
    if (tap_->wants_output())
      tap_->settle();
    else
      tap_->offer();
  }
  close_ended();
}

void Relay::read(Flow& flow) {
  const bool output = flow.from() > 2;
  flow.read_once();
  if (!output || !output_left_) return;
  if (flow.held() > *output_left_) {
    truncated_ = true;
    flow.keep(static_cast<std::size_t>(*output_left_));
  }
  *output_left_ -= flow.held();
}

/// The run sees the end of its input, or that nobody reads its output any more, when vrun's end closes.
void Relay::close_ended() {
  for (const Flow& flow : flows_)
    if (flow.ended() && flow.stream()) pipes_[*flow.stream()].reset();
  if (tap_ && tap_->ended()) pipes_[0].reset();
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
        struct pollfd event {
          flow.from(), POLLIN, 0
        };
        if (::poll(&event, 1, 0) <= 0) break;
        read(flow);
      }
    }
  }
  if (tap_ && !tap_->ended()) tap_->settle();
  if (streams_.kinds[0] == StreamKind::file && !flows_.empty()) {
    // The run can have put bytes of its own into the pipe; back beyond where it began is never gone.
    const Flow& input = flows_.front();
    const auto unread = std::min<unsigned long long>(left_in(input_end_.get()) + input.held(), input.total());
    if (unread > 0) ::lseek(0, -static_cast<off_t>(unread), SEEK_CUR);
  }
  suspend();
}

std::optional<unsigned long long> Relay::passed_on(int fd) const {
  for (const Flow& flow : flows_)
    if (flow.to() == fd) return flow.total();
  return std::nullopt;
}

std::optional<std::string> Relay::lost_output() const {
  for (const Flow& flow : flows_)
    // A reader that went away wants no more, as head(1) does.
    if (flow.error_number() != 0 && flow.error_number() != EPIPE && (flow.to() == 1 || flow.to() == 2))
      return Error(flow.to() == 1 ? "cannot write standard output" : "cannot write standard error", "",
                   flow.error_number())
          .what();
  return std::nullopt;
}

}  // namespace vrun
