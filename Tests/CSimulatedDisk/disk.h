#ifndef DISK_H
#define DISK_H

// What the files of this target share.

#include "CSimulatedDisk.h"

#include <sqlite3.h>

enum { SECTOR = 512, SHM_REGIONS = 64 };

struct bytes {
  unsigned char *data;
  size_t size;
  size_t capacity;
};

// A change of a file that was not synced yet.
struct change {
  bool is_truncation;
  size_t offset;  // of a write; the new size after a truncation
  size_t length;
  size_t bytes;   // where the written bytes are in the file's `written`
};

// The shared memory of a database in WAL mode. It lives as long as a connection may look at it.
struct shm {
  int references;
  int count;
  size_t region_size;
  unsigned char *regions[SHM_REGIONS];
  unsigned char *snapshots[SHM_REGIONS];  // as it was when an owner died, until that is over
  bool has_snapshot;
};

// An inode.
struct file {
  struct file *next;
  char *name;
  int number;
  bool exists;         // it has a directory entry now
  bool exists_durably; // it has a directory entry on the disk
  bool entry_changed;  // its directory entry was made or removed since the directory was synced
  struct bytes now;
  struct bytes durable;
  struct bytes written;
  struct change *changes;
  size_t change_count;
  size_t change_capacity;
  struct connection *connections;
  struct shm *shm;
};

struct owner {
  struct owner *next;
  int number;
  uint64_t operations;
  uint64_t kill_at;  // 0: never
  bool is_dead;
};

// An open file of SQLite.
struct connection {
  sqlite3_file base;
  struct connection *next;  // of the same file
  struct simdisk *disk;
  struct owner *owner;
  struct file *file;        // NULL: its process is dead
  int lock;
  struct shm *shm;
  unsigned shared_locks;    // of the shared memory, one bit each
  unsigned exclusive_locks;
  bool syncs_directory;     // with the next sync, as SQLite's unix VFS does for a new journal
};

struct fault {
  uint64_t countdown;  // 0: none
  uint64_t times;      // 0: for ever
  int code;
};

struct simdisk {
  sqlite3_vfs vfs;
  struct file *files;
  int last_number;
  uint64_t used;
  uint64_t limit;
  struct owner *owners;
  struct owner *current;  // opens databases
  struct owner *last;     // has done the last operation: it deletes files and opens journals
  struct fault faults[SIMDISK_KINDS];
  enum simdisk_hold hold;
  uint64_t random;
  int64_t time;
  uint64_t slept;
  bool has_snapshots;
  bool is_recording;
  struct simdisk_event *events;
  size_t event_count;
  size_t event_capacity;
};

// Aborts without memory: this is for tests.
void *must_have(void *memory);
uint64_t next_random(uint64_t *state);

// bytes.c: what is in a file
void bytes_resize(struct bytes *bytes, size_t size);
void bytes_put(struct bytes *bytes, size_t offset, const void *data, size_t length);
void file_put(struct simdisk *disk, struct file *file, size_t offset, const void *data, size_t length);
void file_truncate(struct simdisk *disk, struct file *file, size_t size);
void file_sync(struct file *file);
// Throws away a random part of what was not synced.
void file_settle(struct simdisk *disk, struct file *file, uint64_t *random);
void file_free(struct simdisk *disk, struct file *file);

// disk.c: files and their names
struct file *find_file(const struct simdisk *disk, const char *name);
struct file *create_file(struct simdisk *disk, const char *name);
void delete_file(struct simdisk *disk, struct file *file);
void sync_directory_of(struct simdisk *disk, const char *name);
// Frees a file that no name and no connection leads to.
void drop_file(struct simdisk *disk, struct file *file);
void record(struct simdisk *disk, enum simdisk_kind kind, const struct file *file, size_t offset, const void *data, size_t length);

// owner.c
struct owner *find_owner(struct simdisk *disk, int number);
// Counts an operation of an owner. Returns SQLITE_IOERR if it is dead.
int step(struct simdisk *disk, struct owner *owner);
// The result of an operation, by the faults that were set.
int fault(struct simdisk *disk, enum simdisk_kind kind);
// Takes a connection from its file and gives up its locks: its process is dead.
void detach(struct connection *connection);

// locks.c
int lock_file(sqlite3_file *base, int level);
int unlock_file(sqlite3_file *base, int level);
int check_reserved(sqlite3_file *base, int *result);
int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **result);
int shm_lock(sqlite3_file *base, int offset, int n, int flags);
void shm_barrier(sqlite3_file *base);
int shm_unmap(sqlite3_file *base, int delete);
// Lets a connection no longer look at shared memory.
void shm_leave(struct connection *connection);
void shm_snapshot(struct shm *shm);
void shm_restore(struct shm *shm);

// vfs.c
void set_up_vfs(struct simdisk *disk, const char *name);

#endif
