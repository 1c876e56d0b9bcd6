// Files, their names, and the record.

#include "disk.h"

#include <stdlib.h>
#include <string.h>

struct file *find_file(const struct simdisk *disk, const char *name) {
  for (struct file *file = disk->files; file; file = file->next) {
    if (file->exists && strcmp(file->name, name) == 0) return file;
  }
  return NULL;
}

struct file *create_file(struct simdisk *disk, const char *name) {
  struct file *file = must_have(calloc(1, sizeof *file));
  file->name = must_have(strdup(name));
  file->number = ++disk->last_number;
  // A file without a name is gone when it is closed.
  file->exists = file->entry_changed = *name != '\0';
  struct file **place = &disk->files;
  while (*place) place = &(*place)->next;
  *place = file;
  if (file->exists) record(disk, SIMDISK_CREATE, file, 0, NULL, 0);
  return file;
}

void drop_file(struct simdisk *disk, struct file *file) {
  if (file->exists || file->exists_durably || file->entry_changed || file->connections) return;
  for (struct file **place = &disk->files; *place; place = &(*place)->next) {
    if (*place != file) continue;
    *place = file->next;
    file_free(disk, file);
    return;
  }
}

void delete_file(struct simdisk *disk, struct file *file) {
  file->exists = false;
  file->entry_changed = true;
  record(disk, SIMDISK_DELETE, file, 0, NULL, 0);
}

static size_t directory_length(const char *name) {
  const char *slash = strrchr(name, '/');
  return slash ? (size_t)(slash - name) : 0;
}

static void sync_entries(struct simdisk *disk, const char *directory, size_t length) {
  for (struct file *file = disk->files, *next; file; file = next) {
    next = file->next;
    if (directory_length(file->name) != length || strncmp(file->name, directory, length) != 0) continue;
    file->exists_durably = file->exists;
    file->entry_changed = false;
    drop_file(disk, file);
  }
}

void sync_directory_of(struct simdisk *disk, const char *name) {
  char *directory = must_have(strndup(name, directory_length(name)));
  simdisk_sync_directory(disk, directory);
  free(directory);
}

void simdisk_sync_directory(simdisk *disk, const char *directory) {
  struct file named = {.name = (char *)directory};
  record(disk, SIMDISK_SYNC_DIRECTORY, &named, 0, NULL, 0);
  sync_entries(disk, directory, strlen(directory));
}

// MARK: The tests' view of files

const void *simdisk_file(const simdisk *disk, const char *name, size_t *size) {
  const struct file *file = find_file(disk, name);
  *size = file ? file->now.size : 0;
  if (!file) return NULL;
  return file->now.data ? file->now.data : (const void *)"";
}

const char *simdisk_name(const simdisk *disk, size_t index) {
  for (const struct file *file = disk->files; file; file = file->next) {
    if (file->exists && index-- == 0) return file->name;
  }
  return NULL;
}

void simdisk_load(simdisk *disk, const char *name, const void *bytes, size_t size) {
  bool is_recording = disk->is_recording;
  disk->is_recording = false;
  struct file *file = create_file(disk, name);
  file_put(disk, file, 0, bytes, size);
  file_sync(file);
  for (struct file *other = disk->files, *next; other; other = next) {
    next = other->next;
    if (strcmp(other->name, name) != 0) continue;
    other->exists_durably = other->exists = other == file;
    other->entry_changed = false;
    drop_file(disk, other);
  }
  disk->is_recording = is_recording;
}

size_t simdisk_unsynced(const simdisk *disk, const char *name) {
  size_t count = 0;
  for (const struct file *file = disk->files; file; file = file->next) {
    if (strcmp(file->name, name) == 0) count += file->change_count + (file->entry_changed ? 1 : 0);
  }
  return count;
}

static void drop_all_files(struct simdisk *disk) {
  for (struct file *file = disk->files, *next; file; file = next) {
    next = file->next;
    while (file->connections) detach(file->connections);
    file_free(disk, file);
  }
  disk->files = NULL;
}

void simdisk_copy(simdisk *disk, const simdisk *other) {
  drop_all_files(disk);
  for (const struct file *file = other->files; file; file = file->next) {
    if (file->exists) simdisk_load(disk, file->name, file->now.data, file->now.size);
  }
}

uint64_t simdisk_used(const simdisk *disk) { return disk->used; }
void simdisk_limit(simdisk *disk, uint64_t bytes) { disk->limit = bytes; }

// MARK: Power

// Chooses which of the files that had a name since its directory was synced has it from now on; or none has it.
static void settle_name(struct simdisk *disk, const char *name, uint64_t *random) {
  struct file *chosen = NULL;
  bool has_changed = false;
  size_t count = 1;
  for (struct file *file = disk->files; file; file = file->next) {
    if (strcmp(file->name, name) != 0) continue;
    has_changed |= file->entry_changed;
    if (next_random(random) % ++count == 0) chosen = file;
  }
  for (struct file *file = disk->files; file; file = file->next) {
    if (strcmp(file->name, name) != 0) continue;
    if (has_changed) file->exists = file == chosen;
    file->exists_durably = file->exists;
    file->entry_changed = false;
  }
}

void simdisk_power_cut(simdisk *disk, uint64_t seed) {
  uint64_t random = seed;
  for (struct file *file = disk->files; file; file = file->next) {
    while (file->connections) {
      file->connections->owner->is_dead = true;
      detach(file->connections);
    }
  }
  for (struct file *file = disk->files, *next; file; file = next) {
    next = file->next;
    if (file->entry_changed) settle_name(disk, file->name, &random);
    if (file->exists) file_settle(disk, file, &random);
    drop_file(disk, file);
  }
}

// MARK: The record

void record(struct simdisk *disk, enum simdisk_kind kind, const struct file *file, size_t offset, const void *data,
            size_t length) {
  if (!disk->is_recording) return;
  if (disk->event_count == disk->event_capacity) {
    disk->event_capacity = disk->event_capacity ? disk->event_capacity * 2 : 256;
    disk->events = must_have(realloc(disk->events, disk->event_capacity * sizeof *disk->events));
  }
  struct simdisk_event *event = memset(&disk->events[disk->event_count++], 0, sizeof *event);
  event->kind = kind;
  event->owner = disk->last ? disk->last->number : 0;
  event->file = file ? file->number : 0;
  event->name = file ? must_have(strdup(file->name)) : NULL;
  event->offset = (int64_t)offset;
  event->length = length;
  if (length) event->bytes = memcpy(must_have(malloc(length)), data, length);
}

static void clear_record(struct simdisk *disk) {
  for (size_t i = 0; i < disk->event_count; i++) {
    free((char *)disk->events[i].name);
    free((unsigned char *)disk->events[i].bytes);
  }
  disk->event_count = 0;
}

void simdisk_record(simdisk *disk, bool on) {
  if (on) clear_record(disk);
  disk->is_recording = on;
}

void simdisk_mark(simdisk *disk, int64_t value) { record(disk, SIMDISK_MARK, NULL, (size_t)value, NULL, 0); }
size_t simdisk_event_count(const simdisk *disk) { return disk->event_count; }
const struct simdisk_event *simdisk_event_at(const simdisk *disk, size_t index) {
  return index < disk->event_count ? &disk->events[index] : NULL;
}

// MARK: The whole

simdisk *simdisk_new(const char *vfs_name) {
  if (sqlite3_initialize() != SQLITE_OK || sqlite3_vfs_find(vfs_name)) return NULL;
  struct simdisk *disk = must_have(calloc(1, sizeof *disk));
  simdisk_reset(disk);
  set_up_vfs(disk, vfs_name);
  if (sqlite3_vfs_register(&disk->vfs, 0) == SQLITE_OK) return disk;
  simdisk_free(disk);
  return NULL;
}

static void clear(struct simdisk *disk) {
  drop_all_files(disk);
  // Connections that were left open still count for their owners: these are freed with the disk only.
  for (struct owner *owner = disk->owners; owner; owner = owner->next) {
    owner->operations = owner->kill_at = 0;
    owner->is_dead = false;
  }
  clear_record(disk);
  disk->is_recording = false;
}

void simdisk_reset(simdisk *disk) {
  clear(disk);
  simdisk_clear_faults(disk);
  disk->last_number = 0;
  disk->used = disk->limit = disk->slept = disk->random = 0;
  disk->has_snapshots = false;
  disk->hold = SIMDISK_HOLD_NOTHING;
  // 2024-01-01
  disk->time = 1704067200000000;
  disk->current = disk->last = find_owner(disk, 0);
}

void simdisk_free(simdisk *disk) {
  clear(disk);
  for (struct owner *owner = disk->owners, *next; owner; owner = next) {
    next = owner->next;
    free(owner);
  }
  free(disk->events);
  if (disk->vfs.zName) sqlite3_vfs_unregister(&disk->vfs);
  free((char *)disk->vfs.zName);
  free(disk);
}
