// Owners, which are simulated processes, and faults.

#include "disk.h"

#include <stdlib.h>

struct owner *find_owner(struct simdisk *disk, int number) {
  for (struct owner *owner = disk->owners; owner; owner = owner->next) {
    if (owner->number == number) return owner;
  }
  struct owner *owner = must_have(calloc(1, sizeof *owner));
  owner->number = number;
  owner->next = disk->owners;
  return disk->owners = owner;
}

static const struct owner *look_up(const struct simdisk *disk, int number) {
  for (const struct owner *owner = disk->owners; owner; owner = owner->next) {
    if (owner->number == number) return owner;
  }
  return NULL;
}

// SQLite can still write to the shared memory in the name of a dead process, when it rolls back. That will be undone.
static void die(struct simdisk *disk, struct owner *owner) {
  owner->is_dead = true;
  for (struct file *file = disk->files; file; file = file->next) {
    for (struct connection *each = file->connections; each; each = each->next) {
      if (each->owner != owner || !each->shm || each->shm->has_snapshot) continue;
      shm_snapshot(each->shm);
      disk->has_snapshots = true;
    }
  }
}

static void restore_shared_memory(struct simdisk *disk) {
  for (struct file *file = disk->files; file; file = file->next) {
    if (file->shm) shm_restore(file->shm);
  }
  disk->has_snapshots = false;
}

int step(struct simdisk *disk, struct owner *owner) {
  if (owner->is_dead) return SQLITE_IOERR;
  if (disk->has_snapshots) restore_shared_memory(disk);
  disk->last = owner;
  if (owner->kill_at && owner->operations + 1 >= owner->kill_at) {
    die(disk, owner);
    return SQLITE_IOERR;
  }
  owner->operations++;
  return SQLITE_OK;
}

void detach(struct connection *connection) {
  struct file *file = connection->file;
  if (!file) return;
  for (struct connection **place = &file->connections; *place; place = &(*place)->next) {
    if (*place != connection) continue;
    *place = connection->next;
    break;
  }
  connection->file = NULL;
  connection->lock = SQLITE_LOCK_NONE;
  connection->shared_locks = connection->exclusive_locks = 0;
  // Without a process that maps it, shared memory starts anew. This one lives on only for who still looks at it.
  if (!file->shm) return;
  for (struct connection *each = file->connections; each; each = each->next) {
    if (each->shm == file->shm) return;
  }
  if (connection->shm == file->shm) {
    for (int i = 0; i < file->shm->count; i++) connection->disk->used -= file->shm->region_size;
    file->shm = NULL;
  }
}

void simdisk_set_owner(simdisk *disk, int owner) { disk->current = find_owner(disk, owner); }

void simdisk_kill_after(simdisk *disk, int owner, uint64_t n) {
  struct owner *found = find_owner(disk, owner);
  found->kill_at = n ? found->operations + n : 0;
}

bool simdisk_is_dead(const simdisk *disk, int owner) {
  const struct owner *found = look_up(disk, owner);
  return found && found->is_dead;
}

uint64_t simdisk_operations(const simdisk *disk, int owner) {
  const struct owner *found = look_up(disk, owner);
  return found ? found->operations : 0;
}

void simdisk_forget(simdisk *disk, int owner) {
  struct owner *found = find_owner(disk, owner);
  if (disk->has_snapshots) restore_shared_memory(disk);
  for (struct file *file = disk->files, *next_file; file; file = next_file) {
    next_file = file->next;
    for (struct connection *each = file->connections, *next; each; each = next) {
      next = each->next;
      if (each->owner == found) detach(each);
    }
    drop_file(disk, file);
  }
  found->operations = found->kill_at = 0;
  found->is_dead = false;
}

// MARK: Faults

void simdisk_fail(simdisk *disk, enum simdisk_kind kind, uint64_t n, int code, uint64_t times) {
  disk->faults[kind] = (struct fault){.countdown = n, .times = times, .code = code};
}

void simdisk_clear_faults(simdisk *disk) {
  for (int kind = 0; kind < SIMDISK_KINDS; kind++) disk->faults[kind] = (struct fault){0};
}

int fault(struct simdisk *disk, enum simdisk_kind kind) {
  struct fault *fault = &disk->faults[kind];
  if (!fault->countdown) return SQLITE_OK;
  if (fault->countdown > 1) {
    fault->countdown--;
    return SQLITE_OK;
  }
  if (fault->times && --fault->times == 0) fault->countdown = 0;
  return fault->code;
}

void simdisk_hold(simdisk *disk, enum simdisk_hold hold) { disk->hold = hold; }
