// What SQLite calls.

#include "disk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// MARK: Open files

static int begin(sqlite3_file *base, enum simdisk_kind kind) {
  struct connection *self = (struct connection *)base;
  if (!self->file) return SQLITE_IOERR;
  int code = step(self->disk, self->owner);
  if (code == SQLITE_OK && kind != SIMDISK_KINDS) code = fault(self->disk, kind);
  return code;
}

// The end of a process closes its files, too: it is no operation.
static int close_file(sqlite3_file *base) {
  struct connection *self = (struct connection *)base;
  struct file *file = self->file;
  shm_leave(self);
  detach(self);
  if (file) drop_file(self->disk, file);
  return SQLITE_OK;
}

static int read_file(sqlite3_file *base, void *buffer, int length, sqlite3_int64 offset) {
  int code = begin(base, SIMDISK_READ);
  if (code != SQLITE_OK) return code;
  const struct bytes *now = &((struct connection *)base)->file->now;
  size_t start = (size_t)offset < now->size ? (size_t)offset : now->size;
  size_t count = now->size - start < (size_t)length ? now->size - start : (size_t)length;
  if (count) memcpy(buffer, now->data + start, count);
  if (count == (size_t)length) return SQLITE_OK;
  memset((char *)buffer + count, 0, (size_t)length - count);
  return SQLITE_IOERR_SHORT_READ;
}

static int write_file(sqlite3_file *base, const void *data, int length, sqlite3_int64 offset) {
  int code = begin(base, SIMDISK_WRITE);
  if (code != SQLITE_OK) return code;
  struct connection *self = (struct connection *)base;
  struct simdisk *disk = self->disk;
  size_t end = (size_t)offset + (size_t)length;
  size_t size = self->file->now.size;
  if (disk->limit && end > size && disk->used + (end - size) > disk->limit) {
    // As with write(2), what fits is written.
    uint64_t room = disk->used < disk->limit ? disk->limit - disk->used : 0;
    if (size + room > (size_t)offset) file_put(disk, self->file, (size_t)offset, data, size + room - (size_t)offset);
    return SQLITE_FULL;
  }
  file_put(disk, self->file, (size_t)offset, data, (size_t)length);
  return SQLITE_OK;
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 size) {
  int code = begin(base, SIMDISK_TRUNCATE);
  if (code != SQLITE_OK) return code;
  struct connection *self = (struct connection *)base;
  if ((size_t)size != self->file->now.size) file_truncate(self->disk, self->file, (size_t)size);
  return SQLITE_OK;
}

static int sync_file(sqlite3_file *base, int flags) {
  (void)flags;
  int code = begin(base, SIMDISK_SYNC);
  if (code != SQLITE_OK) return code;
  struct connection *self = (struct connection *)base;
  record(self->disk, SIMDISK_SYNC, self->file, 0, NULL, 0);
  file_sync(self->file);
  if (self->syncs_directory) sync_directory_of(self->disk, self->file->name);
  self->syncs_directory = false;
  return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
  *size = 0;
  int code = begin(base, SIMDISK_KINDS);
  if (code == SQLITE_OK) *size = (sqlite3_int64)((struct connection *)base)->file->now.size;
  return code;
}

static int control_file(sqlite3_file *base, int operation, void *argument) {
  (void)base, (void)operation, (void)argument;
  return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *base) {
  (void)base;
  return 4096;
}

// As SQLite's unix VFS: a write changes only its own bytes, also if the power is cut.
static int characteristics(sqlite3_file *base) {
  (void)base;
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
  .iVersion = 2,
  .xClose = close_file,
  .xRead = read_file,
  .xWrite = write_file,
  .xTruncate = truncate_file,
  .xSync = sync_file,
  .xFileSize = file_size,
  .xLock = lock_file,
  .xUnlock = unlock_file,
  .xCheckReservedLock = check_reserved,
  .xFileControl = control_file,
  .xSectorSize = sector_size,
  .xDeviceCharacteristics = characteristics,
  .xShmMap = shm_map,
  .xShmLock = shm_lock,
  .xShmBarrier = shm_barrier,
  .xShmUnmap = shm_unmap,
};

// MARK: Names

// Files that belong to an open database are those of its owner.
static struct owner *owner_of(struct simdisk *disk, int flags) {
  return flags & SQLITE_OPEN_MAIN_DB ? disk->current : disk->last;
}

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *result_flags) {
  struct simdisk *disk = vfs->pAppData;
  struct connection *self = memset(base, 0, sizeof *self);
  self->disk = disk;
  self->owner = owner_of(disk, flags);
  int code = step(disk, self->owner);
  if (code == SQLITE_OK) code = fault(disk, SIMDISK_OPEN);
  if (code != SQLITE_OK) return code;
  struct file *file = name ? find_file(disk, name) : NULL;
  if (file && (flags & SQLITE_OPEN_EXCLUSIVE) && (flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
  if (!file) {
    if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
    file = create_file(disk, name ? name : "");
    self->syncs_directory = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL);
  }
  if (name && (flags & SQLITE_OPEN_DELETEONCLOSE)) delete_file(disk, file);
  self->file = file;
  self->next = file->connections;
  file->connections = self;
  if (result_flags) *result_flags = flags;
  base->pMethods = &methods;
  return SQLITE_OK;
}

static int delete_name(sqlite3_vfs *vfs, const char *name, int sync_directory) {
  struct simdisk *disk = vfs->pAppData;
  int code = step(disk, disk->last);
  if (code == SQLITE_OK) code = fault(disk, SIMDISK_DELETE);
  if (code != SQLITE_OK) return code;
  struct file *file = find_file(disk, name);
  if (file) {
    delete_file(disk, file);
    drop_file(disk, file);
  }
  if (sync_directory) sync_directory_of(disk, name);
  return file ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

static int access_name(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
  (void)flags;
  struct simdisk *disk = vfs->pAppData;
  *result = 0;
  int code = step(disk, disk->last);
  if (code == SQLITE_OK) *result = find_file(disk, name) != NULL;
  return code;
}

static int full_name(sqlite3_vfs *vfs, const char *name, int size, char *result) {
  (void)vfs;
  if (strlen(name) >= (size_t)size) return SQLITE_CANTOPEN;
  strcpy(result, name);
  return SQLITE_OK;
}

// MARK: Chance and time

static int random_bytes(sqlite3_vfs *vfs, int count, char *result) {
  struct simdisk *disk = vfs->pAppData;
  for (int i = 0; i < count; i++) result[i] = (char)next_random(&disk->random);
  return count;
}

static int sleep_long(sqlite3_vfs *vfs, int microseconds) {
  struct simdisk *disk = vfs->pAppData;
  disk->slept += (uint64_t)microseconds;
  return microseconds;
}

// In milliseconds of the Julian calendar.
static int current_time(sqlite3_vfs *vfs, sqlite3_int64 *result) {
  const struct simdisk *disk = vfs->pAppData;
  *result = 210866760000000 + disk->time / 1000;
  return SQLITE_OK;
}

static int current_day(sqlite3_vfs *vfs, double *result) {
  sqlite3_int64 time;
  current_time(vfs, &time);
  *result = (double)time / 86400000.0;
  return SQLITE_OK;
}

static int last_error(sqlite3_vfs *vfs, int size, char *text) {
  (void)vfs, (void)size, (void)text;
  return 0;
}

void set_up_vfs(struct simdisk *disk, const char *name) {
  disk->vfs = (sqlite3_vfs){
    .iVersion = 2,
    .szOsFile = sizeof(struct connection),
    .mxPathname = 512,
    .zName = must_have(strdup(name)),
    .pAppData = disk,
    .xOpen = open_file,
    .xDelete = delete_name,
    .xAccess = access_name,
    .xFullPathname = full_name,
    .xRandomness = random_bytes,
    .xSleep = sleep_long,
    .xCurrentTime = current_day,
    .xGetLastError = last_error,
    .xCurrentTimeInt64 = current_time,
  };
}

void simdisk_seed(simdisk *disk, uint64_t seed) { disk->random = seed; }
void simdisk_set_time(simdisk *disk, int64_t microseconds) { disk->time = microseconds; }
uint64_t simdisk_slept(const simdisk *disk) { return disk->slept; }

void simdisk_seed_sqlite(uint32_t seed) {
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed ? seed : 1), (sqlite3 *)NULL);
}
