// Runs a program and stops it at its system calls, to count them, to kill it at one, or to make one fail. Used by
// contrib/torture.d/calls.
//
//   calls [OPTION]... -- PROGRAM [ARGUMENT]...
//
//   -k N             kill the program at its Nth stop. Each call has two stops: before the kernel does it, and after
//   -h MS            if the Nth stop is a new process's before it executes its program: hold that process for so long
//   -e CALL:N:ERRNO  make the Nth CALL fail with this number, without doing it (but close(2) is done, as in the kernel)
//   -c               count: print each kind of call with its number
//   -o FILE          write the output of the program to this file
//   -g CGROUP        start the program in this cgroup, a directory which is created if it is missing
//   -d               mark the cgroup as delegated, as systemd does
//   -t MS            kill the program after this time
//   -u FILE          send SIGTERM to the program as soon as this file exists
//   -r FILE          send SIGHUP to the program once, as soon as this file exists
//   -U UID           start the program as this user and group, and give them the cgroup
//
// It stops at the calls of the program, and at those of its children until they execute a program. At the end it prints one line,
// `WHAT VALUE STOPS CPU CALL FIRST`. WHAT: killed (-k), late (-t), exited or signaled. VALUE: the exit status or the signal. STOPS: their
// number. CPU: milliseconds of processor time. CALL: the call of -k or -e; `-`: it was not reached. FIRST: the stop after which the first
// new process was created.
//
// Exit status: 0, or 2 if the program could not be started or traced.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>  // after the one before, whose names it repeats
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#ifdef __aarch64__
#include <elf.h>
#endif

// The calls that can be made to fail, by name. `setlk` is fcntl with a lock: it has other errors than other fcntls.
static const struct {
  const char *name;
  long number;
} calls[] = {
    {"setlk", -1},
#define CALL(name) {#name, SYS_##name}
    CALL(openat), CALL(read), CALL(pread64), CALL(write), CALL(pwrite64), CALL(fdatasync), CALL(fsync), CALL(mmap), CALL(mprotect),
    CALL(brk), CALL(fcntl), CALL(flock), CALL(inotify_init1), CALL(inotify_add_watch), CALL(epoll_create1), CALL(epoll_ctl),
    CALL(epoll_pwait), CALL(clone), CALL(clone3), CALL(execveat), CALL(ftruncate), CALL(unlinkat), CALL(renameat), CALL(mkdirat),
    CALL(getrandom), CALL(readlinkat), CALL(getdents64), CALL(fstat), CALL(newfstatat), CALL(fstatfs), CALL(pipe2), CALL(signalfd4),
    CALL(timerfd_create), CALL(timerfd_settime), CALL(eventfd2), CALL(socket), CALL(connect), CALL(sendmsg), CALL(ioctl), CALL(dup3),
    CALL(setsid), CALL(prlimit64), CALL(wait4), CALL(waitid), CALL(fchown), CALL(fchmod), CALL(getcwd), CALL(prctl), CALL(lseek),
    CALL(close), CALL(memfd_create), CALL(statx), CALL(faccessat), CALL(close_range), CALL(pidfd_send_signal), CALL(fchdir),
#ifdef __x86_64__
    CALL(unlink), CALL(rename), CALL(mkdir), CALL(rmdir), CALL(epoll_wait), CALL(readlink), CALL(access), CALL(poll), CALL(lchown),
    CALL(chmod), CALL(open), CALL(stat),
#endif
};
enum { CALLS = sizeof calls / sizeof *calls, TICK = 5000 };

static unsigned long counts[CALLS];
static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}
static _Noreturn void fail(const char *what) {
  perror(what);
  exit(2);
}
// Its only purpose is to interrupt waitpid.
static void tick(int signal) { (void)signal; }

// The place of a call in `calls`, or -1.
static int kind_of(const struct ptrace_syscall_info *info) {
  long number = (long)info->entry.nr;
  if (number == SYS_fcntl && (info->entry.args[1] == F_SETLK || info->entry.args[1] == F_SETLKW)) return 0;
  for (int i = 1; i < CALLS; i++)
    if (calls[i].number == number) return i;
  return -1;
}

// Whether a call can fail. EPOLL_CTL_DEL needs no memory. To release a lock as it was taken needs none either: SQLite relies on that, and
// would wait ten seconds for itself.
static bool can_fail(pid_t pid, int kind, const struct ptrace_syscall_info *info) {
  if (calls[kind].number == SYS_epoll_ctl) return info->entry.args[1] != EPOLL_CTL_DEL;
  if (kind != 0) return true;
  const long lock = ptrace(PTRACE_PEEKDATA, pid, info->entry.args[2], 0);
  return (short)lock != F_UNLCK;
}

// The first is for use before a call: the kernel skips it. The second is for use after it: the program gets this result.
static void skip_call(pid_t pid) {
#if defined(__x86_64__)
  if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), -1L) < 0) fail("calls: POKEUSER");
#elif defined(__aarch64__)
  int number = -1;
  struct iovec value = {&number, sizeof number};
  if (ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &value) < 0) fail("calls: SETREGSET");
#else
#error "calls: the registers of this processor are not supported"
#endif
}
static void set_result(pid_t pid, long result) {
#if defined(__x86_64__)
  if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), result) < 0) fail("calls: POKEUSER");
#elif defined(__aarch64__)
  struct user_regs_struct registers;
  struct iovec value = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &value) < 0) fail("calls: GETREGSET");
  registers.regs[0] = (uint64_t)result;
  if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &value) < 0) fail("calls: SETREGSET");
#endif
}

// Like fork, but into a cgroup if there is one: to move there would take about 10 ms. The C library does not know this fork, so the
// child cannot use raise().
static pid_t fork_into(const char *cgroup, bool delegated, uid_t user) {
  if (!cgroup) return fork();
  if (mkdir(cgroup, 0755) < 0 && errno != EEXIST) fail(cgroup);
  // The second is for users, who cannot read the first.
  if (delegated && setxattr(cgroup, "trusted.delegate", "1", 1, 0) < 0) fail(cgroup);
  if (delegated && setxattr(cgroup, "user.delegate", "1", 1, 0) < 0) fail(cgroup);
  int directory = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  static const char *const given[] = {".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};
  for (size_t i = 0; delegated && user && i < sizeof given / sizeof *given; i++)
    if (fchownat(directory, given[i], user, user, 0) < 0) fail(cgroup);
  struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)directory};
  return directory < 0 ? -1 : (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

// Detaches from a stopped process and lets it continue, at once or after some milliseconds.
static void release(pid_t pid, int milliseconds) {
  if (milliseconds) kill(pid, SIGSTOP);
  ptrace(PTRACE_DETACH, pid, 0, 0);
  if (!milliseconds || fork() != 0) return;
  close(STDOUT_FILENO);
  usleep((useconds_t)milliseconds * 1000);
  kill(pid, SIGCONT);
  _exit(0);
}

int main(int argc, char **argv) {
  unsigned long stops = 0, first = 0, kill_at = 0, fail_at = 0;
  int failing = -1, error = 0, hold = 0, option;
  uid_t user = 0;
  long long deadline = 0;
  bool counting = false, delegated = false;
  const char *output = "/dev/null", *cgroup = NULL, *until = NULL, *reload = NULL;
  while ((option = getopt(argc, argv, "+k:h:e:co:g:dt:u:r:U:")) != -1) {
    char name[32];
    switch (option) {
      case 'k': kill_at = strtoul(optarg, NULL, 10); break;
      case 'h': hold = atoi(optarg); break;
      case 'e':
        if (sscanf(optarg, "%31[^:]:%lu:%d", name, &fail_at, &error) == 3)
          for (int i = 0; i < CALLS; i++)
            if (strcmp(calls[i].name, name) == 0) failing = i;
        if (failing < 0) return fprintf(stderr, "calls: no such call: %s\n", optarg), 2;
        break;
      case 'c': counting = true; break;
      case 'o': output = optarg; break;
      case 'g': cgroup = optarg; break;
      case 'd': delegated = true; break;
      case 't': deadline = now() + atoll(optarg); break;
      case 'u': until = optarg; break;
      case 'r': reload = optarg; break;
      case 'U': user = (uid_t)strtoul(optarg, NULL, 10); break;
      default: return 2;
    }
  }
  const bool tracing = kill_at || failing >= 0 || counting;
  struct sigaction action = {.sa_handler = tick};
  sigaction(SIGALRM, &action, NULL);

  const pid_t program = fork_into(cgroup, delegated, user);
  if (program < 0) fail("calls: fork");
  if (program == 0) {
    int file = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || dup2(file, STDOUT_FILENO) < 0 || dup2(file, STDERR_FILENO) < 0 || close(file) < 0) _exit(126);
    if (user && (setgroups(0, NULL) < 0 || setgid(user) < 0 || setuid(user) < 0)) _exit(126);
    if (tracing && (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 || kill(getpid(), SIGSTOP) != 0)) _exit(126);
    execvp(argv[optind], argv + optind);
    _exit(127);
  }
  int status;
  if (tracing) {
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status)) fail("calls: wait");
    if (ptrace(PTRACE_SETOPTIONS, program, 0, options) < 0) fail("calls: SETOPTIONS");
    if (ptrace(PTRACE_SYSCALL, program, 0, 0) < 0) fail("calls: SYSCALL");
  }
  const struct itimerval timer = {.it_interval.tv_usec = TICK, .it_value.tv_usec = TICK};
  setitimer(ITIMER_REAL, &timer, NULL);

  bool begun = false, late = false;
  int reached = -1, last = -1;
  pid_t failed = 0;  // the process whose call is skipped and has not returned yet
  struct rusage usage;
  for (;;) {
    pid_t pid = wait4(-1, &status, __WALL, &usage);
    if (pid < 0 && errno != EINTR) fail("calls: wait");
    if (deadline && now() >= deadline && !late) {
      late = true;
      kill(program, SIGKILL);
    }
    if (until && access(until, F_OK) == 0) {
      until = NULL;
      kill(program, SIGTERM);
    }
    if (reload && access(reload, F_OK) == 0) {
      reload = NULL;
      kill(program, SIGHUP);
    }
    if (pid < 0) continue;
    if (!WIFSTOPPED(status)) {
      if (pid == program) break;
      continue;
    }
    int signal = WSTOPSIG(status);
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
      signal = 0;
      if (pid != program) {
        // From here on it is a program of its own.
        release(pid, 0);
        continue;
      }
      begun = true;
    } else if (signal == (SIGTRAP | 0x80)) {
      signal = 0;
      struct ptrace_syscall_info info = {0};
      if (begun && (long)ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0) {
        stops++;
        if (failed == pid && info.op == PTRACE_SYSCALL_INFO_EXIT) {
          set_result(pid, -error);
          failed = 0;
        }
        const bool entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
        const int kind = entry ? kind_of(&info) : -1;
        if (entry) last = kind;
        if (kind >= 0 && can_fail(pid, kind, &info) && ++counts[kind] == fail_at && kind == failing) {
          // close(2) closes the descriptor also when it reports an error.
          if (calls[kind].number != SYS_close) skip_call(pid);
          failed = pid;
          reached = kind;
        }
        if (stops == kill_at) {
          reached = last < 0 ? CALLS : last;
          kill(program, SIGKILL);
          if (pid == program) continue;
          // Waits until it is dead; a tick can interrupt the wait.
          while (waitpid(program, &status, __WALL) < 0 ? errno == EINTR : WIFSTOPPED(status)) continue;
          release(pid, hold);
          break;
        }
      }
    } else if (status >> 16 || signal == SIGSTOP) {
      // The event of a new process, or its first stop.
      signal = 0;
      if (!first) first = stops;
    }
    ptrace(PTRACE_SYSCALL, pid, 0, signal);
  }
  if (counting)
    for (int i = 0; i < CALLS; i++)
      if (counts[i]) printf("%s %lu\n", calls[i].name, counts[i]);
  const bool killed = kill_at && stops >= kill_at;
  const char *what = late ? "late" : killed ? "killed" : WIFEXITED(status) ? "exited" : "signaled";
  const long cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
  printf("%s %d %lu %ld %s %lu\n", what, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), stops, cpu,
         reached < 0 ? "-" : reached < CALLS ? calls[reached].name : "other", first);
  return 0;
}
