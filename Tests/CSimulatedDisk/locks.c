// The locks of files, and the shared memory of databases in WAL mode with its locks.

#include "disk.h"

#include <stdlib.h>
#include <string.h>

// MARK: Files

// The strongest lock of the other connections.
static int strongest_other(const struct connection *self) {
  int strongest = SQLITE_LOCK_NONE;
  for (const struct connection *each = self->file->connections; each; each = each->next) {
    if (each != self && each->lock > strongest) strongest = each->lock;
  }
  return strongest;
}

static int begin(struct connection *self) { return self->file ? step(self->disk, self->owner) : SQLITE_IOERR; }

int lock_file(sqlite3_file *base, int level) {
  struct connection *self = (struct connection *)base;
  int code = begin(self);
  if (code != SQLITE_OK) return code;
  if (level <= self->lock) return SQLITE_OK;
  if ((code = fault(self->disk, SIMDISK_LOCK)) != SQLITE_OK) return code;
  if (self->disk->hold == SIMDISK_HOLD_ALL) return SQLITE_BUSY;
  if (self->disk->hold == SIMDISK_HOLD_WRITING && level >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
  int other = strongest_other(self);
  if (level == SQLITE_LOCK_SHARED) {
    if (other >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
  } else if (other >= SQLITE_LOCK_RESERVED) {
    return SQLITE_BUSY;
  } else if (level == SQLITE_LOCK_EXCLUSIVE && other >= SQLITE_LOCK_SHARED) {
    // Those who read can end that, and nobody else can begin.
    self->lock = SQLITE_LOCK_PENDING;
    return SQLITE_BUSY;
  }
  self->lock = level;
  return SQLITE_OK;
}

int unlock_file(sqlite3_file *base, int level) {
  struct connection *self = (struct connection *)base;
  int code = begin(self);
  if (code == SQLITE_OK && self->lock > level) self->lock = level;
  return code;
}

int check_reserved(sqlite3_file *base, int *result) {
  struct connection *self = (struct connection *)base;
  *result = 0;
  int code = begin(self);
  if (code != SQLITE_OK) return code;
  *result = self->disk->hold != SIMDISK_HOLD_NOTHING || self->lock >= SQLITE_LOCK_RESERVED
            || strongest_other(self) >= SQLITE_LOCK_RESERVED;
  return SQLITE_OK;
}

// MARK: Shared memory

static void shm_free(struct shm *shm) {
  for (int i = 0; i < SHM_REGIONS; i++) {
    free(shm->regions[i]);
    free(shm->snapshots[i]);
  }
  free(shm);
}

void shm_snapshot(struct shm *shm) {
  for (int i = 0; i < shm->count; i++) {
    shm->snapshots[i] = must_have(malloc(shm->region_size));
    memcpy(shm->snapshots[i], shm->regions[i], shm->region_size);
  }
  shm->has_snapshot = true;
}

void shm_restore(struct shm *shm) {
  if (!shm->has_snapshot) return;
  for (int i = 0; i < shm->count; i++) {
    if (!shm->snapshots[i]) continue;
    memcpy(shm->regions[i], shm->snapshots[i], shm->region_size);
    free(shm->snapshots[i]);
    shm->snapshots[i] = NULL;
  }
  shm->has_snapshot = false;
}

// The first connection that maps the shared memory of a database finds it empty, as with SQLite's unix VFS.
static void join(struct connection *self) {
  if (self->shm) return;
  if (!self->file->shm) self->file->shm = must_have(calloc(1, sizeof *self->shm));
  self->shm = self->file->shm;
  self->shm->references++;
}

int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **result) {
  struct connection *self = (struct connection *)base;
  *result = NULL;
  int code = begin(self);
  if (code != SQLITE_OK) return code;
  join(self);
  struct shm *shm = self->shm;
  if (region >= SHM_REGIONS) return SQLITE_IOERR_SHMSIZE;
  shm->region_size = (size_t)size;
  while (shm->count <= region) {
    if (!extend) return SQLITE_OK;
    // It is a file like others, and takes place like others.
    if (self->disk->limit && self->disk->used + (uint64_t)size > self->disk->limit) return SQLITE_IOERR_SHMSIZE;
    self->disk->used += (uint64_t)size;
    shm->regions[shm->count++] = must_have(calloc(1, (size_t)size));
  }
  *result = shm->regions[region];
  return SQLITE_OK;
}

int shm_lock(sqlite3_file *base, int offset, int n, int flags) {
  struct connection *self = (struct connection *)base;
  int code = begin(self);
  if (code != SQLITE_OK) return code;
  if (!self->shm) return SQLITE_IOERR_SHMLOCK;
  unsigned mask = ((1u << n) - 1) << offset;
  if (flags & SQLITE_SHM_UNLOCK) {
    self->shared_locks &= ~mask;
    self->exclusive_locks &= ~mask;
    return SQLITE_OK;
  }
  if ((code = fault(self->disk, SIMDISK_LOCK)) != SQLITE_OK) return code;
  bool is_exclusive = flags & SQLITE_SHM_EXCLUSIVE;
  // Slot 0 is the right to write (https://www.sqlite.org/walformat.html#wal_locks).
  if (self->disk->hold == SIMDISK_HOLD_ALL) return SQLITE_BUSY;
  if (self->disk->hold == SIMDISK_HOLD_WRITING && is_exclusive && (mask & 1)) return SQLITE_BUSY;
  for (const struct connection *each = self->file->connections; each; each = each->next) {
    if (each == self || each->shm != self->shm) continue;
    if (each->exclusive_locks & mask) return SQLITE_BUSY;
    if (is_exclusive && (each->shared_locks & mask)) return SQLITE_BUSY;
  }
  if (is_exclusive) {
    self->exclusive_locks |= mask;
  } else {
    self->shared_locks |= mask;
  }
  return SQLITE_OK;
}

// A place to die between two writes to shared memory.
void shm_barrier(sqlite3_file *base) { (void)begin((struct connection *)base); }

void shm_leave(struct connection *self) {
  struct shm *shm = self->shm;
  if (!shm) return;
  self->shm = NULL;
  self->shared_locks = self->exclusive_locks = 0;
  if (self->file && self->file->shm == shm) {
    bool is_used = false;
    for (const struct connection *each = self->file->connections; each; each = each->next) {
      if (each->shm == shm) is_used = true;
    }
    if (!is_used) {
      self->disk->used -= shm->region_size * (size_t)shm->count;
      self->file->shm = NULL;
    }
  }
  if (--shm->references == 0) shm_free(shm);
}

int shm_unmap(sqlite3_file *base, int delete) {
  (void)delete;
  struct connection *self = (struct connection *)base;
  int code = begin(self);
  // The locks of a dead owner are held until it is forgotten.
  if (code == SQLITE_OK || !self->file) shm_leave(self);
  return code;
}
