#ifndef CSIMULATEDDISK_H
#define CSIMULATEDDISK_H

// A disk in memory, as a VFS of SQLite (https://www.sqlite.org/vfs.html). It fails, fills up, is locked, and loses what was not synced,
// all when it is told to. Whoever uses it is one of several owners: simulated processes, which can be killed at any operation.
//
// One thread at a time uses a disk; several disks do not know each other. Names of files are plain text. The directory of a file is
// what its name has before the last slash.
//
// Numbers count from 1: "the 1st operation from now" is the next one. Codes are those of SQLite.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct simdisk simdisk;

// Registers a VFS. Returns NULL without memory, or if the name is taken.
simdisk *simdisk_new(const char *vfs_name);
// All connections must be closed before.
void simdisk_free(simdisk *disk);
// Forgets files, owners, faults, the record and the time. Connections that are still open are dead.
void simdisk_reset(simdisk *disk);

// The number that xRandomness starts from.
void simdisk_seed(simdisk *disk, uint64_t seed);
// SQLite has one generator of random numbers for the whole process, which asks its standard VFS. This makes it start from a seed.
void simdisk_seed_sqlite(uint32_t seed);
// What xCurrentTime says, in microseconds since 1970.
void simdisk_set_time(simdisk *disk, int64_t microseconds);
// How long all have slept, in microseconds. Nobody sleeps really.
uint64_t simdisk_slept(const simdisk *disk);

// MARK: Files

// What is in a file now; NULL if there is no such file. It is valid until the disk is used again. An empty file is not NULL.
const void *simdisk_file(const simdisk *disk, const char *name, size_t *size);
// The name of the file with an index from 0 on; NULL after the last.
const char *simdisk_name(const simdisk *disk, size_t index);
// Creates or replaces a file. It is on the disk durably. No connection may have it open.
void simdisk_load(simdisk *disk, const char *name, const void *bytes, size_t size);
// Makes the files of a disk those of another, durably. No connection may be open.
void simdisk_copy(simdisk *disk, const simdisk *other);
// How many changes of a file were not synced yet, its directory entry included.
size_t simdisk_unsynced(const simdisk *disk, const char *name);
// fsync of a directory. A deletion by SQLite that syncs the directory does the same, even of a file that is not there.
void simdisk_sync_directory(simdisk *disk, const char *directory);

// MARK: Owners

// Who opens the databases from now on. 0 in the beginning.
void simdisk_set_owner(simdisk *disk, int owner);
// The n-th operation of an owner from now, and all later ones, do nothing and return SQLITE_IOERR: its process is dead. 0: it lives on.
void simdisk_kill_after(simdisk *disk, int owner, uint64_t n);
bool simdisk_is_dead(const simdisk *disk, int owner);
// Drops the locks of a dead owner. A new process can have its number from then on; connections that the old one has left open stay
// dead. No other owner may do anything between a death and this, as the dead one can still write to the shared memory.
void simdisk_forget(simdisk *disk, int owner);
// How many operations an owner has done, since it was forgotten.
uint64_t simdisk_operations(const simdisk *disk, int owner);

// MARK: Faults

enum simdisk_kind {
  SIMDISK_READ,
  SIMDISK_WRITE,
  SIMDISK_TRUNCATE,
  SIMDISK_SYNC,
  SIMDISK_OPEN,
  SIMDISK_DELETE,
  SIMDISK_LOCK,            // of a file, or of its shared memory
  SIMDISK_CREATE,          // only in the record
  SIMDISK_SYNC_DIRECTORY,  // only in the record
  SIMDISK_MARK,            // only in the record: see simdisk_mark
  SIMDISK_KINDS
};

// The n-th operation of a kind from now fails with a code: `times` operations, or all from then on if `times` is 0.
void simdisk_fail(simdisk *disk, enum simdisk_kind kind, uint64_t n, int code, uint64_t times);
void simdisk_clear_faults(simdisk *disk);
// How many bytes fit on the disk; writes above it return SQLITE_FULL. 0: no limit.
void simdisk_limit(simdisk *disk, uint64_t bytes);
uint64_t simdisk_used(const simdisk *disk);

enum simdisk_hold {
  SIMDISK_HOLD_NOTHING,
  SIMDISK_HOLD_WRITING,    // nobody can write: another program has begun a transaction
  SIMDISK_HOLD_ALL         // nobody can read either
};
// Which locks another program holds.
void simdisk_hold(simdisk *disk, enum simdisk_hold hold);

// MARK: Power

// The power is cut. Of what was not synced, any part is kept: single sectors of 512 bytes, truncations, and each directory entry as it
// was at any time since the last sync. The shared memory is forgotten. All owners with connections are dead.
void simdisk_power_cut(simdisk *disk, uint64_t seed);

// MARK: The record

struct simdisk_event {
  enum simdisk_kind kind;
  int owner;
  int file;                // the same number is the same inode
  const char *name;        // of the file or directory; NULL for a mark
  int64_t offset;          // of a write; the new size after a truncation; the value of a mark
  size_t length;           // of a write
  const unsigned char *bytes;
};

// Begins an empty record of what changes the disk, or ends it. What was recorded stays readable until the next begin.
void simdisk_record(simdisk *disk, bool on);
// Adds a value of the test's own to the record.
void simdisk_mark(simdisk *disk, int64_t value);
size_t simdisk_event_count(const simdisk *disk);
// An event, by its index from 0 on. It is valid until something more is recorded.
const struct simdisk_event *simdisk_event_at(const simdisk *disk, size_t index);

#endif
