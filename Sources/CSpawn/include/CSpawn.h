#ifndef CSPAWN_H
#define CSPAWN_H

// Creates a process the way journalhook needs it, which neither posix_spawn nor Swift can: in its cgroup before its
// first instruction, with its ids and limits, executing a descriptor that was checked. And the few system calls that
// Swift cannot make itself, because they are variadic or newer than the C library of some distributions.

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/xattr.h>

// What failed. The order is the order in which the child takes the steps.
enum cspawn_step {
  CSPAWN_NONE,
  CSPAWN_CLONE,         // the process could not be made at all
  CSPAWN_SESSION,       // setsid
  CSPAWN_CGROUP,        // joining the cgroup
  CSPAWN_STDIO,         // moving the descriptors into place
  CSPAWN_NICE,          // setpriority
  CSPAWN_LIMITS,        // setrlimit
  CSPAWN_GROUPS,        // setgroups
  CSPAWN_GROUP,         // setresgid
  CSPAWN_USER,          // setresuid
  CSPAWN_DIRECTORY,     // fchdir
  CSPAWN_PRIVILEGES,    // PR_SET_NO_NEW_PRIVS
  CSPAWN_EXECUTE        // execveat
};

// All descriptors are borrowed; -1 stands for "none" where one is optional.
struct cspawn_request {
  int executable;
  int original;          // optional: what the executable is a copy of; it is this that the user must be allowed to execute
  char name[16];         // of the process until it executes, as in /proc/PID/comm; empty to leave it
  char *const *argv;
  char *const *envp;
  int stdio[3];
  int cgroup;            // optional: the folder of the cgroup to be in
  int directory;         // optional
  mode_t umask;
  bool set_nice;
  int nice;
  rlim_t descriptors;    // soft RLIMIT_NOFILE, 0 to leave it
  bool set_ids;
  uid_t uid;
  gid_t gid;
  const gid_t *groups;
  size_t group_count;
  bool no_new_privileges;
};

struct cspawn_result {
  pid_t pid;
  int pidfd;
  enum cspawn_step step;
  int error;             // errno of that step
};

// The number at which an executed script's own descriptor is found: its interpreter opens /dev/fd/3.
enum { CSPAWN_SCRIPT_DESCRIPTOR = 3 };

// Returns 0, or -1 with the step and errno in the result. Then no process and no descriptor is left.
int cspawn(const struct cspawn_request *request, struct cspawn_result *result);

// pidfd_open(2): the C library has it only since 2.36.
int cspawn_pidfd_open(pid_t pid);
// pidfd_send_signal(2)
int cspawn_pidfd_signal(int pidfd, int signal);
// prctl(PR_SET_CHILD_SUBREAPER): orphans among our descendants become our children.
int cspawn_become_subreaper(void);
// memfd_create(2), close-on-exec
int cspawn_memory_file(const char *name);
// The same, of a file that can be sealed and executed.
int cspawn_sealable_file(const char *name);
// fcntl(2) with F_ADD_SEALS: nobody can change the content any more.
int cspawn_seal(int file);
// Whether somebody has a file open for writing; false also where that cannot be told. The descriptor is one for reading.
bool cspawn_is_being_written(int file);

#endif
