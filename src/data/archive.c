#include "data/archive.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zip.h>

#include "base/file.h"
#include "base/memory.h"

struct strata_archive {
    atomic_size_t holders;
    pthread_mutex_t lock;
    char *path;
    zip_t *zip; /* or */
    struct strata_tar tar;
};

static bool ends_with(const char *text, size_t length, const char *suffix) {
    size_t size = strlen(suffix);
    return length > size && strncasecmp(text + length - size, suffix, size) == 0;
}

/* ---- one archive ---- */

static int open_zip(struct strata_archive *archive, struct strata_error *err) {
    int number = 0;
    zip_error_t error;
    archive->zip = zip_open(archive->path, ZIP_RDONLY, &number);
    if (archive->zip) return 0;
    zip_error_init_with_code(&error, number);
    strata_fail(err, STRATA_ERR_IO, "cannot open the zip: %s", zip_error_strerror(&error));
    zip_error_fini(&error);
    return STRATA_ERR_IO;
}

int strata_archive_open(struct strata_archive **out, const char *path, struct strata_error *err) {
    struct strata_archive *archive;
    *out = NULL;
    int code = strata_alloc(&archive, 1, sizeof *archive, err);
    if (code) return code;
    archive->tar.handle = -1;
    archive->path = strata_strdup(path);
    atomic_init(&archive->holders, 1);
    pthread_mutex_init(&archive->lock, NULL);
    if (!archive->path)
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    else
        code =
            ends_with(path, strlen(path), ".zip") ? open_zip(archive, err) : strata_tar_open(&archive->tar, path, err);
    if (code) {
        strata_fail_at(err, code, "%s", path);
        strata_archive_release(archive);
    } else {
        *out = archive;
    }
    return code;
}

struct strata_archive *strata_archive_hold(struct strata_archive *archive) {
    if (archive) atomic_fetch_add(&archive->holders, 1);
    return archive;
}

void strata_archive_release(struct strata_archive *archive) {
    if (!archive || atomic_fetch_sub(&archive->holders, 1) > 1) return;
    if (archive->zip) zip_discard(archive->zip);
    strata_tar_close(&archive->tar);
    pthread_mutex_destroy(&archive->lock);
    free(archive->path);
    free(archive);
}

bool strata_archive_has(struct strata_archive *archive, const char *member) {
    if (!archive->zip) return strata_tar_find(&archive->tar, member) != NULL;
    pthread_mutex_lock(&archive->lock);
    bool found = zip_name_locate(archive->zip, member, ZIP_FL_ENC_GUESS) >= 0;
    pthread_mutex_unlock(&archive->lock);
    return found;
}

static int read_zip(struct strata_buffer *out, struct strata_archive *archive, const char *member, size_t limit,
                    struct strata_error *err) {
    zip_stat_t status;
    zip_file_t *file = NULL;
    int code = 0;
    if (zip_stat(archive->zip, member, ZIP_FL_ENC_GUESS, &status) || !(status.valid & ZIP_STAT_SIZE) ||
        !(status.valid & ZIP_STAT_INDEX))
        return strata_fail(err, STRATA_ERR_IO, "the zip has no such member");
    if (status.size > limit)
        return strata_fail(err, STRATA_ERR_INPUT, "it is larger than the limit of %zu bytes", limit);
    file = zip_fopen_index(archive->zip, status.index, 0);
    char *bytes = file ? strata_buffer_extend(out, (size_t)status.size) : NULL;
    zip_int64_t got = bytes ? zip_fread(file, bytes, status.size) : 0;
    char more;
    if (!file)
        code = strata_fail(err, STRATA_ERR_IO, "cannot read it: %s", zip_strerror(archive->zip));
    else if (!bytes)
        code = strata_fail(err, STRATA_ERR_MEMORY, "no memory for %zu bytes", (size_t)status.size);
    else if (got < 0 || (zip_uint64_t)got != status.size || zip_fread(file, &more, 1) != 0) /* the end is checked too */
        code = strata_fail(err, STRATA_ERR_IO, "it is damaged: %s",
                           got < 0 ? zip_file_strerror(file) : "its length or checksum is another");
    if (file) zip_fclose(file);
    return code;
}

static int read_tar(struct strata_buffer *out, const struct strata_tar *tar, const char *member, size_t limit,
                    struct strata_error *err) {
    const struct strata_tar_member *place = strata_tar_find(tar, member);
    if (!place) return strata_fail(err, STRATA_ERR_IO, "the tar has no such member");
    if (place->size > limit)
        return strata_fail(err, STRATA_ERR_INPUT, "it is larger than the limit of %zu bytes", limit);
    char *bytes = strata_buffer_extend(out, (size_t)place->size);
    if (!bytes) return strata_fail(err, STRATA_ERR_MEMORY, "no memory for %zu bytes", (size_t)place->size);
    for (size_t done = 0; done < place->size;) {
        ssize_t got = pread(tar->handle, bytes + done, (size_t)place->size - done, (off_t)(place->at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return strata_fail(err, STRATA_ERR_IO, "cannot read it: %s", got ? strerror(errno) : "the tar ends");
        done += (size_t)got;
    }
    return 0;
}

int strata_archive_read(struct strata_buffer *out, struct strata_archive *archive, const char *member, size_t limit,
                        struct strata_error *err) {
    strata_buffer_clear(out);
    pthread_mutex_lock(&archive->lock);
    int code =
        archive->zip ? read_zip(out, archive, member, limit, err) : read_tar(out, &archive->tar, member, limit, err);
    pthread_mutex_unlock(&archive->lock);
    return code ? strata_fail_at(err, code, "%s/%s", archive->path, member) : 0;
}

/* ---- the archives of a data set ---- */

void strata_archives_free(struct strata_archives *archives) {
    for (size_t i = 0; i < archives->count; i++) {
        strata_archive_release(archives->entries[i].archive);
        free(archives->entries[i].path);
    }
    free(archives->entries);
    free(archives->directory);
    *archives = (struct strata_archives){0};
}

/* *archive borrows; NULL where there is no such file. */
static int find_archive(struct strata_archive **archive, struct strata_archives *archives, const char *path,
                        struct strata_error *err) {
    *archive = NULL;
    for (size_t i = 0; i < archives->count; i++) {
        *archive = archives->entries[i].archive;
        if (strcmp(archives->entries[i].path, path) == 0) return 0;
    }
    *archive = NULL;
    if (!strata_file_exists(path) || strata_is_directory(path)) return 0;
    int code =
        strata_grow(&archives->entries, &archives->capacity, archives->count + 1, sizeof *archives->entries, err);
    if (code) return code;
    struct strata_archives_entry entry = {.path = strata_strdup(path)};
    if (!entry.path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    code = strata_archive_open(&entry.archive, path, err);
    if (code) {
        free(entry.path);
        return code;
    }
    archives->entries[archives->count++] = entry;
    *archive = entry.archive;
    return 0;
}

static int attach(struct strata_image_source *image, struct strata_archive *archive, const char *member,
                  struct strata_error *err) {
    image->member = strata_strdup(member);
    if (!image->member) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    image->archive = strata_archive_hold(archive);
    return 0;
}

/* "…/x.zip/a.png": each part of the path that is called like an archive is tried. */
static int attach_named(struct strata_archives *archives, struct strata_image_source *image, struct strata_error *err) {
    for (const char *slash = image->path; (slash = strchr(slash, '/')); slash++) {
        size_t length = (size_t)(slash - image->path);
        struct strata_archive *archive = NULL;
        if (!ends_with(image->path, length, ".zip") && !ends_with(image->path, length, ".tar")) continue;
        char *path = strndup(image->path, length);
        int code =
            path ? find_archive(&archive, archives, path, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        free(path);
        if (code) return code;
        if (archive) return attach(image, archive, slash + 1, err);
    }
    return 0;
}

/* "x/a.png" in x.zip or x.tar, which may hold it as x/a.png or as a.png. */
static int attach_near(struct strata_archives *archives, struct strata_image_source *image, struct strata_error *err) {
    static const char *const suffixes[] = {".zip", ".tar"};
    const char *slash = strchr(image->name, '/');
    if (!archives->near || !slash || slash == image->name || strata_file_exists(image->path)) return 0;
    for (size_t i = 0; i < 2 && !image->archive; i++) {
        struct strata_archive *archive = NULL;
        struct strata_buffer path = {0};
        strata_buffer_printf(&path, "%s/%.*s%s", archives->directory, (int)(slash - image->name), image->name,
                             suffixes[i]);
        int code = strata_buffer_check(&path, err);
        if (!code) code = find_archive(&archive, archives, path.data, err);
        const char *member = code || !archive                           ? NULL
                             : strata_archive_has(archive, image->name) ? image->name
                             : strata_archive_has(archive, slash + 1)   ? slash + 1
                                                                        : NULL;
        if (member) {
            code = attach(image, archive, member, err);
            free(image->path); /* as it can be found from anywhere */
            image->path = strata_path_join(path.data, member);
            if (!code && !image->path) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        }
        strata_buffer_free(&path);
        if (code) return code;
    }
    return 0;
}

/* Is there any archive in the directory? */
static int look_near(struct strata_archives *archives, const char *directory, struct strata_error *err) {
    if (archives->directory && strcmp(archives->directory, directory) == 0) return 0;
    free(archives->directory);
    archives->directory = strata_strdup(directory);
    archives->near = false;
    if (!archives->directory) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    DIR *stream = opendir(directory);
    if (!stream) return 0;
    for (const struct dirent *entry; !archives->near && (entry = readdir(stream));) {
        size_t length = strlen(entry->d_name);
        archives->near = ends_with(entry->d_name, length, ".zip") || ends_with(entry->d_name, length, ".tar");
    }
    closedir(stream);
    return 0;
}

int strata_archives_attach(struct strata_archives *archives, struct strata_sample *sample, struct strata_error *err) {
    int code = look_near(archives, sample->directory, err);
    for (size_t i = 0; i < sample->image_count && !code; i++) {
        struct strata_image_source *image = &sample->images[i];
        if (!image->path) continue;
        code = attach_named(archives, image, err);
        if (!code && !image->archive) code = attach_near(archives, image, err);
    }
    return code;
}
