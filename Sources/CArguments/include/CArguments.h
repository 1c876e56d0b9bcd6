#ifndef CARGUMENTS_H
#define CARGUMENTS_H

// The arguments that the kernel has given to the program. Swift's CommandLine reads /proc/self/cmdline (Swift 6.3,
// stdlib/public/stubs/CommandLine.cpp) and has none where that cannot be read.

// The arguments, their number in *count; NULL if the C library does not hand them to constructors.
char *const *carguments(int *count);

#endif
