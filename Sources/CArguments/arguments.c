#include "CArguments.h"

#include <stddef.h>

static int argument_count;
static char **arguments;

// The GNU C library calls constructors with what it calls main with (elf/dl-init.c, csu/libc-start.c).
__attribute__((constructor)) static void keep(int argc, char **argv, char **envp) {
  (void)envp;
  argument_count = argc;
  arguments = argv;
}

char *const *carguments(int *count) {
  *count = argument_count;
  return arguments;
}
