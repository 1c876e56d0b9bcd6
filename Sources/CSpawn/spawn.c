#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// On 32-bit systems the plain names take 16-bit ids.
#ifdef SYS_setgroups32
#define SETGROUPS SYS_setgroups32
#define SETRESGID SYS_setresgid32
#define SETRESUID SYS_setresuid32
#else
#define SETGROUPS SYS_setgroups
#define SETRESGID SYS_setresgid
#define SETRESUID SYS_setresuid
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

enum { STACK_SIZE = 64 * 1024, GUARD_SIZE = 64 * 1024, FIRST_FREE = 10, KERNEL_SIGNALS = 64 };

struct child {
  const struct cspawn_request *request;
  struct cspawn_result *result;
  pid_t parent;
  bool in_cgroup;  // whether clone3 has created it in its cgroup
};

static _Noreturn void fail(struct child *child, enum cspawn_step step) {
  child->result->error = errno;
  child->result->step = step;
  _exit(127);
}

// Lets this process die with its parent. If the parent were killed before this process has executed its program, nobody could
// find this process: it would keep the parent's locks, and its program would run unnoticed. A change of ids resets the setting
// (PR_SET_PDEATHSIG in prctl(2)).
static void end_with_parent(const struct child *child) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != child->parent) _exit(127);
}

// Whether our ids and the mount options of its file system allow executing a file.
static bool may_execute(int fd) {
  char path[] = "/proc/self/fd/\0\0\0\0\0\0\0\0\0\0", digits[10];
  int count = 0;
  do digits[count++] = (char)('0' + fd % 10);
  while ((fd /= 10) > 0);
  char *end = path + strlen(path);
  while (count > 0) *end++ = digits[--count];
  return syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

// An ELF program does not need its descriptor once it runs. The interpreter of any other file (a script, a format of
// binfmt_misc) opens the file again through /dev/fd/N, so its descriptor has to stay open. A file that we may not read counts
// as such a file.
static bool is_elf(int fd) {
  char magic[4];
  return pread(fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, "\177ELF", sizeof magic) == 0;
}

// close_range(2) exists since Linux 5.9. Without it, all numbers below the limit are closed: no descriptor is above the soft
// limit at the time of its creation.
static void close_from(unsigned first, rlim_t limit) {
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  for (rlim_t fd = first; fd < limit; fd++) close((int)fd);
}

// The child runs in the memory of the parent, whose thread waits. So it must not allocate, lock or return.
static int run_child(void *argument) {
  struct child *child = argument;
  const struct cspawn_request *request = child->request;

  end_with_parent(child);
  if (request->name[0]) prctl(PR_SET_NAME, request->name, 0, 0, 0);

  // 1. The parent's signal handlers must never run here. All signals are still blocked; step 12 unblocks them. A struct of
  //    zeroes means SIG_DFL in every layout of the kernel's struct. The raw system call also reaches the two signals that the
  //    C library reserves. Ignored signals have to be reset, too, because they would stay ignored after exec.
  const uint64_t default_action[8] = {0};
  for (int number = 1; number <= KERNEL_SIGNALS; number++)
    syscall(SYS_rt_sigaction, number, default_action, NULL, KERNEL_SIGNALS / 8);

  // 2. A session of its own, without a terminal: Ctrl-C at the daemon's terminal does not reach the hook.
  if (setsid() < 0) fail(child, CSPAWN_SESSION);

  // 3. The cgroup, with the parent's rights, and before the hook could fork. "0" stands for the process that writes it.
  if (request->cgroup >= 0 && !child->in_cgroup) {
    int processes = openat(request->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (processes < 0 || write(processes, "0", 1) != 1) fail(child, CSPAWN_CGROUP);
  }

  // 4. Descriptors. The sources may have any numbers, also 0 to 3, and may be equal. So all of them are first duplicated to
  //    numbers from 10 on. Step 10 closes the duplicates.
  int sources[4] = {request->stdio[0], request->stdio[1], request->stdio[2], request->executable};
  for (int i = 0; i < 4; i++)
    if ((sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, FIRST_FREE)) < 0) fail(child, CSPAWN_STDIO);
  int directory = request->directory, original = request->original;
  if (directory >= 0 && (directory = fcntl(directory, F_DUPFD_CLOEXEC, FIRST_FREE)) < 0) fail(child, CSPAWN_STDIO);
  if (original >= 0 && (original = fcntl(original, F_DUPFD_CLOEXEC, FIRST_FREE)) < 0) fail(child, CSPAWN_STDIO);
  bool elf = is_elf(request->executable);
  for (int i = 0; i < 4; i++)
    if (dup3(sources[i], i, i == CSPAWN_SCRIPT_DESCRIPTOR && elf ? O_CLOEXEC : 0) < 0) fail(child, CSPAWN_STDIO);

  umask(request->umask);

  // 5. A higher priority and higher limits need the rights that step 6 gives up.
  if (request->set_nice && setpriority(PRIO_PROCESS, 0, request->nice) < 0) fail(child, CSPAWN_NICE);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail(child, CSPAWN_LIMITS);
  rlim_t inherited = limit.rlim_cur;
  if (request->descriptors > 0) {
    limit.rlim_cur = request->descriptors < limit.rlim_max ? request->descriptors : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail(child, CSPAWN_LIMITS);
  }

  // 6. Ids. The user comes last, because the right to set the others ends with it. The system calls are raw, because the C
  //    library's functions would set the ids in every thread of the parent, whose memory and thread list this process shares.
  if (request->set_ids) {
    if (syscall(SETGROUPS, request->group_count, request->groups) < 0) fail(child, CSPAWN_GROUPS);
    if (syscall(SETRESGID, request->gid, request->gid, request->gid) < 0) fail(child, CSPAWN_GROUP);
    if (syscall(SETRESUID, request->uid, request->uid, request->uid) < 0) fail(child, CSPAWN_USER);
    // A session keyring of that user replaces the daemon's, which may hold root's secrets. Not all kernels have keyrings.
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    end_with_parent(child);
  }

  // 7. The working directory. This comes after the ids, because the hook's user needs the right to enter it.
  if (directory >= 0 && fchdir(directory) < 0) fail(child, CSPAWN_DIRECTORY);

  // 8. No new privileges. This applies to execve(2) only, and not to the change of ids in step 6.
  if (request->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(child, CSPAWN_PRIVILEGES);

  // 9. Everybody may execute a copy. So the right to execute the original is checked here.
  if (original >= 0 && !may_execute(original)) fail(child, CSPAWN_EXECUTE);

  // 10. No other descriptor is inherited, even if it is not marked close-on-exec.
  close_from(CSPAWN_SCRIPT_DESCRIPTOR + 1, inherited);

  // 11. From here on the process no longer dies with its parent: it can be found in the run's container. Until its
  //     environment can be seen, its name identifies it.
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);

  // 12. From here on a signal ends the process. That is then the end of a run that was killed.
  const uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGNALS / 8);

  syscall(SYS_execveat, CSPAWN_SCRIPT_DESCRIPTOR, "", request->argv, request->envp, AT_EMPTY_PATH);
  fail(child, CSPAWN_EXECUTE);
}

// The kernel's struct clone_args as of Linux 5.7.
struct clone3_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

// clone3(2), for which the C library has no function. The child calls run_child on its new stack and does not return here.
static long clone3_and_run(const struct clone3_arguments *arguments, struct child *child) {
#if defined(__x86_64__) && defined(__LP64__)
  long number = SYS_clone3;
  register int (*function)(void *) __asm__("r8") = run_child;
  register struct child *argument __asm__("r9") = child;
  __asm__ volatile(
      "syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tmov %[argument], %%rdi\n\tcall *%[function]\n\tud2\n1:"
      : "+a"(number)
      : "D"(arguments), "S"(sizeof *arguments), [function] "r"(function), [argument] "r"(argument)
      : "rcx", "r11", "cc", "memory");
  return number;
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long first __asm__("x0") = (long)arguments;
  register long second __asm__("x1") = sizeof *arguments;
  register int (*function)(void *) __asm__("x9") = run_child;
  register struct child *argument __asm__("x10") = child;
  __asm__ volatile(
      "svc #0\n\tcbnz x0, 1f\n\tmov x0, %[argument]\n\tblr %[function]\n\tbrk #1\n1:"
      : "+r"(first)
      : "r"(number), "r"(second), [function] "r"(function), [argument] "r"(argument)
      : "cc", "memory");
  return first;
#else
  return -ENOSYS;
#endif
}

// CLONE_VM makes the cost independent of the size of this process. CLONE_VFORK makes the parent's thread wait until the exec,
// so that sharing the memory is safe and the error of the exec is known.
static pid_t create(char *stack, struct child *child, int *pidfd) {
  const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  // clone3 creates the process in its cgroup. Moving it there later would wait for an RCU grace period, about 10 ms.
  if (child->request->cgroup >= 0) {
    const struct clone3_arguments arguments = {
        .flags = flags | CLONE_INTO_CGROUP,
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)(stack + GUARD_SIZE),
        .stack_size = STACK_SIZE,
        .cgroup = (uint64_t)child->request->cgroup};
    child->in_cgroup = true;
    long pid = clone3_and_run(&arguments, child);
    if (pid > 0) return (pid_t)pid;
    child->in_cgroup = false;
    errno = (int)-pid;
    if (errno == EAGAIN || errno == ENOMEM) return -1;
    // Linux is older than 5.7, or a filter forbids clone3, or the cgroup is at fault. Step 3 of run_child tries the cgroup
    // again, and then reports its error.
  }
  return clone(run_child, stack + GUARD_SIZE + STACK_SIZE, flags | SIGCHLD, child, pidfd);
}

int cspawn(const struct cspawn_request *request, struct cspawn_result *result) {
  *result = (struct cspawn_result){.pid = -1, .pidfd = -1};
  // The child has its own stack, with guard pages below it. On the parent's stack it would overwrite the parent's frames.
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
  char *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, GUARD_SIZE, PROT_NONE) < 0) {
    *result = (struct cspawn_result){.pid = -1, .pidfd = -1, .step = CSPAWN_CLONE, .error = errno};
    if (stack != MAP_FAILED) munmap(stack, GUARD_SIZE + STACK_SIZE);
    return -1;
  }

  struct child child = {.request = request, .result = result, .parent = getpid()};
  const uint64_t all = ~(uint64_t)0;
  uint64_t previous;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &previous, KERNEL_SIGNALS / 8);
  // A change of ids in the child makes the shared memory, and so this process, undumpable (PR_SET_DUMPABLE in prctl(2)).
  int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

  int pidfd = -1;
  pid_t pid = create(stack, &child, &pidfd);
  if (pid < 0) {
    result->error = errno;
    result->step = CSPAWN_CLONE;
  }
  if (request->set_ids && dumpable == 1) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &previous, NULL, KERNEL_SIGNALS / 8);
  munmap(stack, GUARD_SIZE + STACK_SIZE);

  if (result->step == CSPAWN_NONE) {
    result->pid = pid;
    result->pidfd = pidfd;
    return 0;
  }
  if (pid > 0) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    close(pidfd);
  }
  return -1;
}

int cspawn_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int cspawn_pidfd_signal(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }

int cspawn_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int cspawn_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 1u /* MFD_CLOEXEC */); }

int cspawn_sealable_file(const char *name) {
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int file = (int)syscall(SYS_memfd_create, name, flags | MFD_EXEC);
  // Before Linux 6.3 the flag MFD_EXEC is unknown, and all files of memfd_create can be executed.
  return file < 0 && errno == EINVAL ? (int)syscall(SYS_memfd_create, name, flags) : file;
}

int cspawn_seal(int file) { return fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL); }

bool cspawn_is_being_written(int file) {
  // A read lease is possible only on a file that no process has open for writing (F_SETLEASE in fcntl(2)). A process that
  // opens the file in between waits until we release the lease; the signal that reports this to us, SIGURG, is ignored.
  if (fcntl(file, F_SETSIG, SIGURG) < 0) return false;
  if (fcntl(file, F_SETLEASE, F_RDLCK) < 0) return errno == EAGAIN;
  fcntl(file, F_SETLEASE, F_UNLCK);
  return false;
}
