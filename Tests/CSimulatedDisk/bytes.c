// What is in a file: now, and after a power cut.

#include "disk.h"

#include <stdlib.h>
#include <string.h>

void *must_have(void *memory) {
  if (!memory) abort();
  return memory;
}

// splitmix64 (https://prng.di.unimi.it/splitmix64.c)
uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// What is new is zero.
void bytes_resize(struct bytes *bytes, size_t size) {
  if (size > bytes->capacity) {
    size_t capacity = size < 4096 ? 4096 : size * 2;
    bytes->data = must_have(realloc(bytes->data, capacity));
    bytes->capacity = capacity;
  }
  if (size > bytes->size) memset(bytes->data + bytes->size, 0, size - bytes->size);
  bytes->size = size;
}

void bytes_put(struct bytes *bytes, size_t offset, const void *data, size_t length) {
  if (offset + length > bytes->size) bytes_resize(bytes, offset + length);
  if (length) memcpy(bytes->data + offset, data, length);
}

static struct change *add_change(struct file *file) {
  if (file->change_count == file->change_capacity) {
    file->change_capacity = file->change_capacity ? file->change_capacity * 2 : 64;
    file->changes = must_have(realloc(file->changes, file->change_capacity * sizeof *file->changes));
  }
  return memset(&file->changes[file->change_count++], 0, sizeof *file->changes);
}

static void resize_now(struct simdisk *disk, struct file *file, size_t size) {
  disk->used = disk->used - file->now.size + size;
  bytes_resize(&file->now, size);
}

void file_put(struct simdisk *disk, struct file *file, size_t offset, const void *data, size_t length) {
  struct change *change = add_change(file);
  change->offset = offset;
  change->length = length;
  change->bytes = file->written.size;
  bytes_put(&file->written, change->bytes, data, length);
  if (offset + length > file->now.size) resize_now(disk, file, offset + length);
  bytes_put(&file->now, offset, data, length);
  record(disk, SIMDISK_WRITE, file, offset, data, length);
}

void file_truncate(struct simdisk *disk, struct file *file, size_t size) {
  struct change *change = add_change(file);
  change->is_truncation = true;
  change->offset = size;
  resize_now(disk, file, size);
  record(disk, SIMDISK_TRUNCATE, file, size, NULL, 0);
}

static void forget_changes(struct file *file) {
  file->change_count = 0;
  file->written.size = 0;
}

void file_sync(struct file *file) {
  for (size_t i = 0; i < file->change_count; i++) {
    const struct change *change = &file->changes[i];
    if (change->is_truncation) {
      bytes_resize(&file->durable, change->offset);
    } else {
      bytes_put(&file->durable, change->offset, file->written.data + change->bytes, change->length);
    }
  }
  forget_changes(file);
}

// Puts those sectors of a write to the disk for which the dice say so.
static void settle_write(struct file *file, const struct change *change, unsigned odds, uint64_t *random) {
  size_t end = change->offset + change->length;
  for (size_t at = change->offset; at < end;) {
    size_t next = (at / SECTOR + 1) * SECTOR;
    if (next > end) next = end;
    if (next_random(random) % 8 < odds) {
      bytes_put(&file->durable, at, file->written.data + change->bytes + (at - change->offset), next - at);
    }
    at = next;
  }
}

void file_settle(struct simdisk *disk, struct file *file, uint64_t *random) {
  // Nothing, an eighth, a half, seven eighths or all: halves of everything alone would never show one missing sector among many.
  static const unsigned all_odds[] = {0, 1, 4, 7, 8};
  unsigned odds = all_odds[next_random(random) % 5];
  // The size of a file can be on the disk without what was written there.
  bool keeps_size = next_random(random) % 4 == 0;
  for (size_t i = 0; i < file->change_count; i++) {
    const struct change *change = &file->changes[i];
    if (!change->is_truncation) {
      settle_write(file, change, odds, random);
    } else if (next_random(random) % 8 < odds) {
      bytes_resize(&file->durable, change->offset);
    }
  }
  if (keeps_size && file->durable.size < file->now.size) bytes_resize(&file->durable, file->now.size);
  resize_now(disk, file, 0);
  resize_now(disk, file, file->durable.size);
  bytes_put(&file->now, 0, file->durable.data, file->durable.size);
  forget_changes(file);
}

void file_free(struct simdisk *disk, struct file *file) {
  disk->used -= file->now.size;
  free(file->now.data);
  free(file->durable.data);
  free(file->written.data);
  free(file->changes);
  free(file->name);
  free(file);
}
