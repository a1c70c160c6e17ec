#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static int fail_errno(struct strata_error *err, const char *doing, const char *path) {
    int number = errno;
    strata_fail(err, STRATA_ERR_IO, "cannot %s: %s", doing, strerror(number));
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
        strata_fail_hint(err, STRATA_ERR_IO,
                         "the disk or quota is full: free some space and run the same command again");
    }
    strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    return STRATA_ERR_IO;
}

/* Opens a regular file for reading; *size is its length. */
static int open_regular(int *handle, size_t *size, const char *path, struct strata_error *err) {
    *handle = open(path, O_RDONLY | O_CLOEXEC);
    if (*handle < 0) return fail_errno(err, "open", path);
    struct stat status;
    if (fstat(*handle, &status)) {
        fail_errno(err, "look at", path);
    } else if (!S_ISREG(status.st_mode)) {
        strata_fail(err, STRATA_ERR_IO, "not a regular file");
        strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    } else {
        *size = (size_t)status.st_size;
        return 0;
    }
    close(*handle);
    return STRATA_ERR_IO;
}

int strata_file_read(struct strata_buffer *out, const char *path, size_t limit, struct strata_error *err) {
    int handle;
    size_t size = 0;
    strata_buffer_clear(out);
    if (open_regular(&handle, &size, path, err)) return STRATA_ERR_IO;
    int code = 0;
    char chunk[1 << 16];
    for (;;) {
        ssize_t got = read(handle, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) code = fail_errno(err, "read", path);
        if (got <= 0) break;
        strata_buffer_append(out, chunk, (size_t)got);
        if (limit && out->length > limit) {
            strata_fail(err, STRATA_ERR_INPUT, "file is larger than the limit of %zu bytes", limit);
            code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
            break;
        }
    }
    close(handle);
    return code ? code : strata_buffer_check(out, err);
}

int strata_map_open(struct strata_map *map, const char *path, struct strata_error *err) {
    int handle;
    *map = (struct strata_map){0};
    if (open_regular(&handle, &map->size, path, err)) return STRATA_ERR_IO;
    if (map->size) {
        void *data = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, handle, 0);
        if (data == MAP_FAILED) {
            close(handle);
            return fail_errno(err, "map", path);
        }
        map->data = data;
    }
    close(handle);
    return 0;
}

void strata_map_release(const struct strata_map *map, size_t offset, size_t length) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!map->data || offset >= map->size) return;
    size_t first = offset / page * page, last = offset + length;
    if (last > map->size) last = map->size;
    /* Advice only: a failure costs memory, never correctness. */
    (void)madvise((void *)(uintptr_t)(map->data + first), last - first, MADV_DONTNEED);
}

void strata_map_close(struct strata_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct strata_map){0};
}

int strata_atomic_open(struct strata_atomic_file *file, const char *path, struct strata_error *err) {
    struct strata_buffer name = {0};
    strata_buffer_printf(&name, "%s.tmp-%ld", path, (long)getpid());
    *file = (struct strata_atomic_file){.path = strata_strdup(path), .temporary = name.data};
    if (!file->path || name.failed) {
        strata_atomic_abort(file);
        strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        return STRATA_ERR_MEMORY;
    }
    file->stream = fopen(file->temporary, "wbe");
    if (file->stream) return 0;
    fail_errno(err, "create", file->temporary);
    strata_atomic_abort(file);
    return STRATA_ERR_IO;
}

/* The rename is durable only once the directory is. */
static int sync_directory(const char *path, struct strata_error *err) {
    char *directory = strata_path_directory(path);
    if (!directory) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int handle = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), code = 0;
    if (handle < 0) {
        code = fail_errno(err, "open", directory);
    } else {
        /* Some file systems cannot sync a directory (EINVAL): nothing more can be done there. */
        if (fsync(handle) && errno != EINVAL) code = fail_errno(err, "sync", directory);
        close(handle);
    }
    free(directory);
    return code;
}

int strata_atomic_commit(struct strata_atomic_file *file, struct strata_error *err) {
    int code = 0;
    if (fflush(file->stream) || ferror(file->stream) || fsync(fileno(file->stream))) {
        code = fail_errno(err, "write", file->temporary);
    }
    if (fclose(file->stream) && !code) code = fail_errno(err, "close", file->temporary);
    file->stream = NULL;
    if (!code && rename(file->temporary, file->path)) code = fail_errno(err, "rename to its place", file->path);
    if (!code) code = sync_directory(file->path, err);
    if (code) unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct strata_atomic_file){0};
    return code;
}

void strata_atomic_abort(struct strata_atomic_file *file) {
    if (file->stream) {
        fclose(file->stream);
        unlink(file->temporary);
    }
    free(file->temporary);
    free(file->path);
    *file = (struct strata_atomic_file){0};
}

int strata_file_write(const char *path, const void *bytes, size_t length, struct strata_error *err) {
    struct strata_atomic_file file;
    int code = strata_atomic_open(&file, path, err);
    if (code) return code;
    if (length && fwrite(bytes, 1, length, file.stream) != length) {
        code = fail_errno(err, "write", file.temporary);
        strata_atomic_abort(&file);
        return code;
    }
    return strata_atomic_commit(&file, err);
}

int strata_make_directories(const char *path, struct strata_error *err) {
    char *copy = strata_strdup(path);
    if (!copy) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = 0;
    for (char *slash = copy + 1; !code && *copy; slash++) {
        if (*slash && *slash != '/') continue;
        bool last = !*slash;
        *slash = '\0';
        if (mkdir(copy, 0777) && errno != EEXIST) code = fail_errno(err, "make directory", copy);
        if (last) break;
        *slash = '/';
    }
    if (!code && !strata_is_directory(path)) {
        strata_fail(err, STRATA_ERR_IO, "exists and is no directory");
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    }
    free(copy);
    return code;
}

int strata_remove_tree(const char *path, struct strata_error *err) {
    DIR *handle = opendir(path);
    struct dirent *entry;
    int code = 0;
    if (!handle) return errno == ENOENT ? 0 : fail_errno(err, "remove", path);
    while (!code && (entry = readdir(handle))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char *inner = strata_path_join(path, entry->d_name);
        if (!inner) {
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        } else if (unlink(inner) && errno != ENOENT) {
            code =
                errno == EISDIR || errno == EPERM ? strata_remove_tree(inner, err) : fail_errno(err, "remove", inner);
        }
        free(inner);
    }
    closedir(handle);
    if (!code && rmdir(path)) code = fail_errno(err, "remove", path);
    return code;
}

bool strata_file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool strata_is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

char *strata_path_join(const char *directory, const char *name) {
    if (name[0] == '/' || !directory[0]) return strata_strdup(name);
    struct strata_buffer path = {0};
    bool slash = directory[strlen(directory) - 1] == '/';
    strata_buffer_printf(&path, "%s%s%s", directory, slash ? "" : "/", name);
    return path.data;
}

char *strata_path_directory(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strata_strdup(".");
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    char *directory = malloc(length + 1);
    if (directory) {
        memcpy(directory, path, length);
        directory[length] = '\0';
    }
    return directory;
}

int strata_lock_acquire(int *handle, const char *path, struct strata_error *err) {
    *handle = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*handle < 0) return fail_errno(err, "open the lock", path);
    if (flock(*handle, LOCK_EX | LOCK_NB)) {
        char holder[32] = "";
        ssize_t got = errno == EWOULDBLOCK ? pread(*handle, holder, sizeof holder - 1, 0) : -1;
        holder[got > 0 ? got : 0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        strata_fail(err, STRATA_ERR_STATE, "in use by another process%s%s", holder[0] ? ", pid " : "", holder);
        strata_fail_at(err, STRATA_ERR_STATE, "%s", path);
        close(*handle);
        *handle = -1;
        return strata_fail_hint(err, STRATA_ERR_STATE,
                                "one writer a run directory: wait for it, or give --shard and a directory of its own");
    }
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The pid is a courtesy to whoever finds the lock taken; the lock holds without it. */
    if (ftruncate(*handle, 0) == 0) (void)!pwrite(*handle, text, (size_t)length, 0);
    return 0;
}

void strata_lock_release(int handle) {
    if (handle >= 0) close(handle);
}

bool strata_path_ends(const char *path, const char *suffix) {
    size_t length = strlen(path), size = strlen(suffix);
    return length > size && strcasecmp(path + length - size, suffix) == 0;
}

bool strata_path_is_called(const char *path, const char *suffix) {
    static const char *const packed[] = {"", ".gz", ".zst"};
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        char full[16];
        snprintf(full, sizeof full, "%s%s", suffix, packed[i]);
        if (strata_path_ends(path, full)) return true;
    }
    return false;
}
