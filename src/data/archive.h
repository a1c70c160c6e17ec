/* Private to the data room: images inside zip and tar archives, by name, without unpacking them. An archive is opened
 * and listed once; then each member is read from its place. It may be shared: it counts its holders and reads for one
 * thread at a time. */
#ifndef STRATA_DATA_ARCHIVE_H
#define STRATA_DATA_ARCHIVE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "data/sample.h"
#include "strata/error.h"

struct strata_archive;
/* path: a .zip or .tar, told by its name. The caller is its first holder. */
int strata_archive_open(struct strata_archive **out, const char *path, struct strata_error *err);
struct strata_archive *strata_archive_hold(struct strata_archive *archive);
void strata_archive_release(struct strata_archive *archive); /* the last holder frees it; NULL is allowed */
bool strata_archive_has(struct strata_archive *archive, const char *member);
/* The whole member into out (cleared first). */
int strata_archive_read(struct strata_buffer *out, struct strata_archive *archive, const char *member, size_t limit,
                        struct strata_error *err);

/* Members of a tar: where each is. Names are kept as 128-bit hashes. */
struct strata_tar {
    int handle;
    struct strata_tar_member {
        struct strata_hash name; /* {0,0}: an empty slot */
        uint64_t at, size;
    } * slots;
    size_t capacity, count; /* capacity: 0 or a power of two */
};
int strata_tar_open(struct strata_tar *tar, const char *path, struct strata_error *err);
const struct strata_tar_member *strata_tar_find(const struct strata_tar *tar, const char *member); /* NULL: none */
void strata_tar_close(struct strata_tar *tar);

/* The archives that a data set's images lie in, each opened when the first record names it. */
struct strata_archives {
    struct strata_archives_entry {
        char *path;
        struct strata_archive *archive;
    } * entries;
    size_t count, capacity;
    char *directory; /* the one that `near` is about */
    bool near;       /* has it any archive? */
};
/* Finds which of the sample's images are inside an archive: "x.zip/a.png" and "x.tar/a.png" name one; "x/a.png", where
 * there is no such file, is looked for in x.zip or x.tar beside the data set. Sets their archive and member. */
int strata_archives_attach(struct strata_archives *archives, struct strata_sample *sample, struct strata_error *err);
void strata_archives_free(struct strata_archives *archives);

#endif
