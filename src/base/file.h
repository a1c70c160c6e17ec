/* Files: whole reads, read-only maps, atomic writes, locks, directories. All errors name the path. */
#ifndef STRATA_BASE_FILE_H
#define STRATA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "strata/error.h"

/* Reads a whole regular file of at most `limit` bytes (0: no limit) into out (which is cleared first). */
int strata_file_read(struct strata_buffer *out, const char *path, size_t limit, struct strata_error *err);

struct strata_map {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;
};
int strata_map_open(struct strata_map *map, const char *path, struct strata_error *err);
/* Tells the kernel that bytes [offset, offset+length) are not needed again (their pages are released). */
void strata_map_release(const struct strata_map *map, size_t offset, size_t length);
void strata_map_close(struct strata_map *map);

/* Files appear whole: write to PATH.tmp-<pid>, fsync, rename, fsync the directory. */
struct strata_atomic_file {
    FILE *stream; /* write here */
    char *path, *temporary;
};
int strata_atomic_open(struct strata_atomic_file *file, const char *path, struct strata_error *err);
int strata_atomic_commit(struct strata_atomic_file *file, struct strata_error *err); /* closes either way */
void strata_atomic_abort(struct strata_atomic_file *file);                           /* removes the temporary */
int strata_file_write(const char *path, const void *bytes, size_t length, struct strata_error *err); /* atomic */

int strata_make_directories(const char *path, struct strata_error *err);
/* A directory and all in it (links themselves, not what they point to); one that is not there is fine. */
int strata_remove_tree(const char *path, struct strata_error *err);
bool strata_file_exists(const char *path);
bool strata_is_directory(const char *path);
/* "a/b" + "c" -> "a/b/c"; an absolute second part wins. Owned by the caller; NULL when memory is out. */
char *strata_path_join(const char *directory, const char *name);
char *strata_path_directory(const char *path); /* "." when there is none; owned by the caller */
/* Does the name end in `suffix` (".csv")? Letter case aside. _is_called: perhaps with .gz or .zst behind it. */
bool strata_path_ends(const char *path, const char *suffix);
bool strata_path_is_called(const char *path, const char *suffix);

/* An exclusive advisory lock held while the process lives (flock). *handle >= 0 on success;
 * STRATA_ERR_STATE, naming the holder's pid where it wrote one, when another process has it. */
int strata_lock_acquire(int *handle, const char *path, struct strata_error *err);
void strata_lock_release(int handle);

#endif
