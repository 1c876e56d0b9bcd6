// libsystemd, and the interfaces of the kernel and the C library that Swift's Glibc module lacks.
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <time.h>

// strptime(3), which time.h declares only with _XOPEN_SOURCE.
char *strptime(const char *text, const char *format, struct tm *fields);
