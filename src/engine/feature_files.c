#include "engine/feature_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

#define ENDING ".features"
#define MAGIC  "strata feature1"
#define SPARED 8 /* when full, one part in so many is freed at once: the directory is read once for many images */

struct feature_files {
    char *directory;
    struct strata_hash identity;
    size_t limit, bytes; /* bytes: as far as this process knows */
};

struct header {
    char magic[16];
    struct strata_hash key, values;
    uint64_t count;
};

struct entry {
    char *path;
    size_t bytes;
    int64_t seconds, nanoseconds;
};

static int by_age(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    if (a->seconds != b->seconds) return a->seconds < b->seconds ? -1 : 1;
    if (a->nanoseconds != b->nanoseconds) return a->nanoseconds < b->nanoseconds ? -1 : 1;
    return strcmp(a->path, b->path);
}

static bool ends_in(const char *name, const char *ending) {
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcmp(name + length - tail, ending) == 0;
}

/* The directory's feature files, oldest use first; the caller frees. What a killed process left half-written goes. */
static size_t list(struct entry **entries, const struct feature_files *files) {
    DIR *directory = opendir(files->directory);
    size_t count = 0, capacity = 0;
    *entries = NULL;
    for (struct dirent *file; directory && (file = readdir(directory));) {
        struct stat facts;
        const bool left = strstr(file->d_name, ENDING ".tmp-") != NULL;
        if (!left && !ends_in(file->d_name, ENDING)) continue;
        char *path = strata_path_join(files->directory, file->d_name);
        if (!path || stat(path, &facts) || strata_grow(entries, &capacity, count + 1, sizeof **entries, NULL)) {
            free(path);
            continue;
        }
        (*entries)[count++] = (struct entry){path, (size_t)facts.st_size, left ? 0 : (int64_t)facts.st_mtim.tv_sec,
                                             (int64_t)facts.st_mtim.tv_nsec};
    }
    if (directory) closedir(directory);
    if (count) qsort(*entries, count, sizeof **entries, by_age);
    return count;
}

/* Counts what is there and, when that and `more` exceed the limit, removes what was used longest ago. */
static void make_room(struct feature_files *files, size_t more) {
    struct entry *entries;
    size_t count = list(&entries, files), next = 0;
    files->bytes = 0;
    for (size_t i = 0; i < count; i++) files->bytes += entries[i].bytes;
    if (files->bytes + more > files->limit) {
        const size_t goal = files->limit - files->limit / SPARED;
        for (; next < count && files->bytes + more > goal; next++) {
            (void)unlink(entries[next].path); /* another process may have been here first */
            files->bytes -= entries[next].bytes;
        }
    }
    for (size_t i = 0; i < count; i++) free(entries[i].path);
    free(entries);
}

int feature_files_open(struct feature_files **out, const char *directory, size_t limit, const char *identity,
                       struct strata_error *err) {
    struct feature_files *files;
    *out = NULL;
    int code = strata_make_directories(directory, err);
    if (!code) code = strata_alloc(&files, 1, sizeof *files, err);
    if (code) return code;
    files->directory = strata_strdup(directory);
    files->limit = limit;
    files->identity = strata_hash_bytes(identity, strlen(identity));
    if (!files->directory) {
        free(files);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    make_room(files, 0);
    *out = files;
    return 0;
}

void feature_files_close(struct feature_files *files) {
    if (!files) return;
    free(files->directory);
    free(files);
}

static struct strata_hash key_of(const struct feature_files *files, struct strata_hash image, size_t count) {
    const uint64_t facts[3] = {image.low, image.high, count};
    return strata_hash_combine(files->identity, facts, sizeof facts);
}

static char *path_of(const struct feature_files *files, struct strata_hash key) {
    char name[64];
    strata_hash_text(name, key);
    memcpy(name + 32, ENDING, sizeof ENDING);
    return strata_path_join(files->directory, name);
}

static bool same(struct strata_hash a, struct strata_hash b) {
    return a.low == b.low && a.high == b.high;
}

bool feature_files_get(struct feature_files *files, struct strata_hash image, float *embeds, size_t count) {
    if (!files) return false;
    const struct strata_hash key = key_of(files, image, count);
    const size_t bytes = count * sizeof *embeds;
    char *path = path_of(files, key);
    struct header header;
    FILE *stream = path ? fopen(path, "rbe") : NULL;
    bool good = stream && fread(&header, sizeof header, 1, stream) == 1 &&
                memcmp(header.magic, MAGIC, sizeof MAGIC) == 0 && same(header.key, key) && header.count == count &&
                fread(embeds, 1, bytes, stream) == bytes && same(header.values, strata_hash_bytes(embeds, bytes));
    if (stream) fclose(stream);
    if (good) (void)utimensat(AT_FDCWD, path, NULL, 0); /* used just now */
    free(path);
    return good;
}

void feature_files_put(struct feature_files *files, struct strata_hash image, const float *embeds, size_t count) {
    if (!files) return;
    const size_t bytes = count * sizeof *embeds, whole = sizeof(struct header) + bytes;
    struct header header = {
        .magic = MAGIC, .key = key_of(files, image, count), .values = strata_hash_bytes(embeds, bytes), .count = count};
    if (whole > files->limit) return;
    if (files->bytes + whole > files->limit) make_room(files, whole);
    char *path = path_of(files, header.key);
    struct strata_atomic_file file;
    if (path && !strata_atomic_open(&file, path, NULL)) {
        bool good =
            fwrite(&header, sizeof header, 1, file.stream) == 1 && fwrite(embeds, 1, bytes, file.stream) == bytes;
        if (!good)
            strata_atomic_abort(&file);
        else if (!strata_atomic_commit(&file, NULL))
            files->bytes += whole;
    }
    free(path);
}
