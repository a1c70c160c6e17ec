/* The directory that a tar has not: one pass over its headers (ustar, with GNU's and pax's long names). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"
#include "data/archive.h"

#define BLOCK      512
#define NAME_LIMIT ((size_t)1 << 20) /* of a long name's or pax header's member */

static int damaged(const char *what, struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_IO, "the tar is damaged: %s", what);
}

static struct strata_tar_member *find_slot(const struct strata_tar *tar, struct strata_hash name) {
    size_t at = (size_t)name.low & (tar->capacity - 1);
    while (tar->slots[at].name.low | tar->slots[at].name.high) {
        if (tar->slots[at].name.low == name.low && tar->slots[at].name.high == name.high) break;
        at = (at + 1) & (tar->capacity - 1);
    }
    return &tar->slots[at];
}

static struct strata_hash hash_of(const char *name) {
    while (name[0] == '.' && name[1] == '/') name += 2;
    struct strata_hash hash = strata_hash_bytes(name, strlen(name));
    if (!(hash.low | hash.high)) hash.low = 1;
    return hash;
}

static int add_member(struct strata_tar *tar, const char *name, uint64_t at, uint64_t size, struct strata_error *err) {
    if (4 * (tar->count + 1) > 3 * tar->capacity) {
        struct strata_tar larger = {.capacity = tar->capacity ? 2 * tar->capacity : 256};
        int code = strata_alloc(&larger.slots, larger.capacity, sizeof *larger.slots, err);
        if (code) return code;
        for (size_t i = 0; i < tar->capacity; i++)
            if (tar->slots[i].name.low | tar->slots[i].name.high)
                *find_slot(&larger, tar->slots[i].name) = tar->slots[i];
        free(tar->slots);
        tar->slots = larger.slots;
        tar->capacity = larger.capacity;
    }
    struct strata_hash hash = hash_of(name);
    struct strata_tar_member *slot = find_slot(tar, hash);
    if (!(slot->name.low | slot->name.high)) tar->count++;
    *slot = (struct strata_tar_member){hash, at, size}; /* of two of one name the last counts, as for tar itself */
    return 0;
}

/* ---- headers ---- */

/* An octal number, or GNU's binary one. */
static bool read_number(uint64_t *out, const unsigned char *field, size_t length) {
    *out = 0;
    if (field[0] == 0x80) {
        for (size_t i = length - 8; i < length; i++) *out = *out << 8 | field[i];
        return *out <= INT64_MAX;
    }
    size_t i = 0;
    while (i < length && field[i] == ' ') i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) *out = *out << 3 | (uint64_t)(field[i] - '0');
    return i == length || field[i] == ' ' || !field[i];
}

static bool checksum_fits(const unsigned char *block) {
    uint64_t expected, sum = 0;
    for (size_t i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : block[i];
    return read_number(&expected, block + 148, 8) && sum == expected;
}

static int read_block(void *out, const struct strata_tar *tar, size_t length, uint64_t at, struct strata_error *err) {
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(tar->handle, (char *)out + done, length - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return strata_fail(err, STRATA_ERR_IO, "cannot read: %s", strerror(errno));
        if (got == 0) return damaged("it is cut short", err);
        done += (size_t)got;
    }
    return 0;
}

/* What headers before a member say of it. */
struct before {
    struct strata_buffer name; /* empty: the member's own */
    bool sized;
    uint64_t size;
};

/* "LENGTH key=value\n", … */
static void read_pax(struct before *before, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        char *end;
        unsigned long size = strtoul(text + at, &end, 10);
        if (size < 5 || size > length - at) return;
        const char *key = end + (*end == ' '), *behind = text + at + size;
        if (behind[-1] != '\n' || key >= behind) return;
        const char *equals = memchr(key, '=', (size_t)(behind - key));
        if (!equals) return;
        if (equals - key == 4 && memcmp(key, "path", 4) == 0) {
            strata_buffer_clear(&before->name);
            strata_buffer_append(&before->name, equals + 1, (size_t)(behind - equals - 2));
        } else if (equals - key == 4 && memcmp(key, "size", 4) == 0) {
            before->size = strtoull(equals + 1, NULL, 10);
            before->sized = true;
        }
        at += size;
    }
}

static int read_before(struct before *before, const struct strata_tar *tar, char type, uint64_t at, uint64_t size,
                       struct strata_error *err) {
    struct strata_buffer text = {0};
    if (size > NAME_LIMIT) return damaged("a name is too long", err);
    char *bytes = strata_buffer_extend(&text, (size_t)size);
    int code =
        bytes ? read_block(bytes, tar, (size_t)size, at, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && type == 'L') {
        strata_buffer_clear(&before->name);
        strata_buffer_text(&before->name, strata_buffer_string(&text));
    } else if (!code) {
        read_pax(before, text.data, text.length);
    }
    strata_buffer_free(&text);
    return code ? code : strata_buffer_check(&before->name, err);
}

/* ustar keeps the begin of a long name elsewhere. */
static void own_name(struct strata_buffer *out, const unsigned char *block) {
    strata_buffer_clear(out);
    if (memcmp(block + 257, "ustar", 6) == 0 && block[345])
        strata_buffer_printf(out, "%.155s/", (const char *)block + 345);
    strata_buffer_printf(out, "%.100s", (const char *)block);
}

static int list_members(struct strata_tar *tar, uint64_t length, struct strata_error *err) {
    unsigned char block[BLOCK];
    struct before before = {0};
    int code = 0;
    for (uint64_t at = 0; !code && at + BLOCK <= length;) {
        uint64_t size;
        code = read_block(block, tar, sizeof block, at, err);
        if (code) break;
        if (!block[0] && !block[156]) break; /* an empty block ends it */
        if (!checksum_fits(block) || !read_number(&size, block + 124, 12)) {
            code = damaged("a header is none", err);
            break;
        }
        at += BLOCK;
        char type = (char)block[156];
        if (type != 'x' && type != 'L' && before.sized) size = before.size;
        if (size > length - at) {
            code = damaged("it is cut short", err);
        } else if (type == 'x' || type == 'L') {
            code = read_before(&before, tar, type, at, size, err);
        } else {
            if (!before.name.length) own_name(&before.name, block);
            code = strata_buffer_check(&before.name, err);
            if (!code && (type == '0' || !type || type == '7'))
                code = add_member(tar, strata_buffer_string(&before.name), at, size, err);
            strata_buffer_clear(&before.name);
            before.sized = false;
        }
        at += (size + BLOCK - 1) / BLOCK * BLOCK;
    }
    strata_buffer_free(&before.name);
    return code;
}

int strata_tar_open(struct strata_tar *tar, const char *path, struct strata_error *err) {
    struct stat status = {0};
    *tar = (struct strata_tar){.handle = open(path, O_RDONLY | O_CLOEXEC)};
    int code = 0;
    if (tar->handle < 0 || fstat(tar->handle, &status))
        code = strata_fail(err, STRATA_ERR_IO, "cannot open: %s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        code = strata_fail(err, STRATA_ERR_IO, "it is no regular file");
    if (!code) code = list_members(tar, (uint64_t)status.st_size, err);
    if (code) strata_tar_close(tar);
    return code;
}

const struct strata_tar_member *strata_tar_find(const struct strata_tar *tar, const char *member) {
    if (!tar->capacity) return NULL;
    const struct strata_tar_member *slot = find_slot(tar, hash_of(member));
    return slot->name.low | slot->name.high ? slot : NULL;
}

void strata_tar_close(struct strata_tar *tar) {
    if (tar->handle >= 0) close(tar->handle);
    free(tar->slots);
    *tar = (struct strata_tar){.handle = -1};
}
