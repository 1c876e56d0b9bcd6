#ifndef CSPAWN_H
#define CSPAWN_H

// Creates a process as neither posix_spawn nor Swift can: in its cgroup from its first instruction on, with its ids and
// limits, executing a descriptor that was checked. Besides that, this file has the system calls that Swift cannot make
// itself, because they are variadic or newer than the C library of some distributions.

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/xattr.h>

// The step that failed. The child takes the steps in this order.
enum cspawn_step {
  CSPAWN_NONE,
  CSPAWN_CLONE,         // creating the process
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
  int original;          // optional: the file of which the executable is a copy; the user needs the right to execute this one
  char name[16];         // the name of the process (/proc/PID/comm) until it executes; empty for that of the parent
  char *const *argv;
  char *const *envp;
  int stdio[3];
  int cgroup;            // optional: the directory of the cgroup that the process is to be in
  int directory;         // optional: the working directory
  mode_t umask;
  bool set_nice;
  int nice;
  rlim_t descriptors;    // soft RLIMIT_NOFILE; 0 for that of the parent
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

// The descriptor of an executed script: its interpreter opens /dev/fd/3.
enum { CSPAWN_SCRIPT_DESCRIPTOR = 3 };

// Returns 0, or -1 with the step and errno in the result. After -1 there is neither a process nor an open descriptor.
int cspawn(const struct cspawn_request *request, struct cspawn_result *result);

// pidfd_open(2): glibc has it only since 2.36.
int cspawn_pidfd_open(pid_t pid);
// pidfd_send_signal(2)
int cspawn_pidfd_signal(int pidfd, int signal);
// prctl(PR_SET_CHILD_SUBREAPER): orphans among our descendants become our children, not init's.
int cspawn_become_subreaper(void);
// memfd_create(2), close-on-exec
int cspawn_memory_file(const char *name);
// memfd_create(2), close-on-exec, of a file that can be sealed and executed
int cspawn_sealable_file(const char *name);
// fcntl(2) with F_ADD_SEALS: from then on nobody can change the content.
int cspawn_seal(int file);
// Whether some process has a file open for writing; false also where this cannot be found out. The descriptor must be open
// for reading only.
bool cspawn_is_being_written(int file);

#endif
