#include "data/seen.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

#define MAX_RUNS    64  /* each has at least twice the ids of the next one */
#define PAGE_IDS    256 /* 4 kB: what one read of a look-up brings */
#define BLOCK_IDS   4096
#define FILTER_BITS 4 /* set for an id, all in one word of the filter */
#define FIRST_SLOTS 1024
#define LEAST_HALF  1024

struct run {
    int handle;
    size_t count;
};

struct strata_seen {
    struct strata_hash
        *slots;             /* open addressing, at most 3/4 full. {0,0}: empty; an id of that hash is kept as {1,0} */
    size_t capacity, count; /* capacity: 0 or a power of two */
    size_t largest;         /* capacity: a full table of this size becomes a run */
    uint64_t *filter;       /* (words) of the ids in the runs, NULL before there are any */
    size_t words;           /* a power of two */
    struct run runs[MAX_RUNS];
    size_t run_count;
    struct strata_hash page[PAGE_IDS];
};

/* One end of a run that is read or written in order. */
struct stream {
    const struct run *run;
    struct strata_hash *block; /* (BLOCK_IDS) */
    size_t at, filled, done;   /* within the block; ids read or written before it */
};

static const char *directory(void) {
    const char *name = getenv("TMPDIR");
    return name && *name ? name : "/tmp";
}

static int fail_file(struct strata_error *err, const char *doing) {
    strata_fail(err, STRATA_ERR_IO, "cannot %s the temporary file of the ids seen: %s", doing,
                errno ? strerror(errno) : "it is shorter than what was written");
    strata_fail_hint(err, STRATA_ERR_IO, "it takes up to 32 bytes a record; TMPDIR says where it is");
    return strata_fail_at(err, STRATA_ERR_IO, "%s", directory());
}

static int read_ids(struct strata_hash *ids, const struct run *run, size_t first, size_t count,
                    struct strata_error *err) {
    size_t done = 0, bytes = count * sizeof *ids;
    while (done < bytes) {
        errno = 0;
        ssize_t got = pread(run->handle, (char *)ids + done, bytes - done, (off_t)(first * sizeof *ids + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return fail_file(err, "read");
        done += (size_t)got;
    }
    return 0;
}

static int write_ids(struct run *run, const struct strata_hash *ids, size_t count, struct strata_error *err) {
    size_t done = 0, bytes = count * sizeof *ids;
    while (done < bytes) {
        errno = 0;
        ssize_t put = write(run->handle, (const char *)ids + done, bytes - done);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return fail_file(err, "write");
        done += (size_t)put;
    }
    run->count += count;
    return 0;
}

static int open_run(struct run *run, struct strata_error *err) {
    char *path = strata_path_join(directory(), "strata-ids-XXXXXX");
    if (!path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    *run = (struct run){.handle = mkstemp(path)};
    int code = run->handle < 0 ? fail_file(err, "create") : 0;
    if (!code) unlink(path);
    free(path);
    return code;
}

static int compare(struct strata_hash a, struct strata_hash b) {
    if (a.high != b.high) return a.high < b.high ? -1 : 1;
    return a.low == b.low ? 0 : a.low < b.low ? -1 : 1;
}

static int compare_items(const void *a, const void *b) {
    return compare(*(const struct strata_hash *)a, *(const struct strata_hash *)b);
}

/* The filter: bits of the high half's low bits in the word that the low half names. A table's slots go by the low half
 * and a run's order by the high one, so that all three are independent enough. */
static uint64_t filter_bits(struct strata_hash id) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < FILTER_BITS; i++) bits |= (uint64_t)1 << (id.high >> (6 * i) & 63);
    return bits;
}

/* Where hash's high half lies among `count` sorted ids whose high halves are spread over [low, high]. */
static size_t interpolate(uint64_t hash, uint64_t low, uint64_t high, size_t count) {
    if (hash <= low || high <= low) return 0;
    if (hash >= high) return count - 1;
    size_t at = (size_t)((double)(hash - low) / (double)(high - low) * (double)count);
    return at < count ? at : count - 1;
}

/* Interpolation, since hashes are spread evenly: one to three reads. After four it goes on by halves, so that ids
 * chosen to break that cost a logarithm. */
static int find_in_run(struct strata_seen *seen, bool *found, const struct run *run, struct strata_hash id,
                       struct strata_error *err) {
    size_t first = 0, last = run->count; /* it can only be in [first, last), whose high halves are in [low, high] */
    uint64_t low = 0, high = UINT64_MAX;
    *found = false;
    for (unsigned reads = 0; first < last; reads++) {
        size_t guess = reads < 4 ? interpolate(id.high, low, high, last - first) : (last - first) / 2;
        size_t begin = first + (guess > PAGE_IDS / 2 ? guess - PAGE_IDS / 2 : 0);
        size_t count = last - begin < PAGE_IDS ? last - begin : PAGE_IDS;
        int code = read_ids(seen->page, run, begin, count, err);
        if (code) return code;
        if (compare(id, seen->page[0]) < 0) {
            last = begin;
            high = seen->page[0].high;
        } else if (compare(id, seen->page[count - 1]) > 0) {
            first = begin + count;
            low = seen->page[count - 1].high;
        } else {
            *found = bsearch(&id, seen->page, count, sizeof id, compare_items);
            break;
        }
    }
    return 0;
}

static int find_in_runs(struct strata_seen *seen, bool *found, struct strata_hash id, struct strata_error *err) {
    uint64_t bits = filter_bits(id);
    *found = false;
    if (!seen->run_count || (seen->filter[id.low & (seen->words - 1)] & bits) != bits) return 0;
    for (size_t i = 0; i < seen->run_count && !*found; i++) {
        int code = find_in_run(seen, found, &seen->runs[i], id, err);
        if (code) return code;
    }
    return 0;
}

static int stream_next(struct stream *stream, struct strata_error *err) {
    if (++stream->at < stream->filled) return 0;
    stream->done += stream->filled;
    size_t left = stream->run->count - stream->done;
    stream->at = 0;
    stream->filled = left < BLOCK_IDS ? left : BLOCK_IDS;
    return read_ids(stream->block, stream->run, stream->done, stream->filled, err);
}

/* blocks: three. No id is in both. */
static int merge_into(struct run *out, const struct run *a, const struct run *b, struct strata_hash *blocks,
                      struct strata_error *err) {
    struct stream from[2] = {{.run = a, .block = blocks}, {.run = b, .block = blocks + BLOCK_IDS}};
    struct strata_hash *block = blocks + (size_t)2 * BLOCK_IDS;
    size_t filled = 0;
    int code = stream_next(&from[0], err);
    if (!code) code = stream_next(&from[1], err);
    while (!code && (from[0].filled || from[1].filled)) {
        bool second =
            !from[0].filled || (from[1].filled && compare(from[1].block[from[1].at], from[0].block[from[0].at]) < 0);
        block[filled++] = from[second].block[from[second].at];
        code = stream_next(&from[second], err);
        if (!code && (filled == BLOCK_IDS || (!from[0].filled && !from[1].filled))) {
            code = write_ids(out, block, filled, err);
            filled = 0;
        }
    }
    return code;
}

/* The last two runs become one. */
static int merge_last(struct strata_seen *seen, struct strata_error *err) {
    struct run *a = &seen->runs[seen->run_count - 2], *b = a + 1, merged = {.handle = -1};
    struct strata_hash *blocks;
    int code = strata_alloc(&blocks, (size_t)3 * BLOCK_IDS, sizeof *blocks, err);
    if (code) return code;
    code = open_run(&merged, err);
    if (!code) {
        code = merge_into(&merged, a, b, blocks, err);
        close(code ? merged.handle : a->handle);
    }
    if (!code) {
        close(b->handle);
        *a = merged;
        seen->run_count--;
    }
    free(blocks);
    return code;
}

/* The full table becomes a run, and is empty. */
static int spill(struct strata_seen *seen, struct strata_error *err) {
    struct run *run = &seen->runs[seen->run_count];
    int code = seen->filter ? 0 : strata_alloc(&seen->filter, seen->words, sizeof *seen->filter, err);
    if (!code && seen->run_count == MAX_RUNS) code = strata_fail(err, STRATA_ERR_MEMORY, "too many ids");
    if (!code) code = open_run(run, err);
    if (code) return code;
    seen->run_count++;
    size_t count = 0;
    for (size_t i = 0; i < seen->capacity; i++) {
        struct strata_hash id = seen->slots[i];
        if (!(id.low | id.high)) continue;
        seen->filter[id.low & (seen->words - 1)] |= filter_bits(id);
        seen->slots[count++] = id;
    }
    qsort(seen->slots, count, sizeof *seen->slots, compare_items);
    code = write_ids(run, seen->slots, count, err);
    memset(seen->slots, 0, seen->capacity * sizeof *seen->slots);
    seen->count = 0;
    while (!code && seen->run_count > 1 &&
           seen->runs[seen->run_count - 2].count < 2 * seen->runs[seen->run_count - 1].count)
        code = merge_last(seen, err);
    return code;
}

static struct strata_hash *slot_of(const struct strata_seen *seen, struct strata_hash id) {
    size_t at = (size_t)id.low & (seen->capacity - 1);
    while (seen->slots[at].low | seen->slots[at].high) {
        if (seen->slots[at].low == id.low && seen->slots[at].high == id.high) break;
        at = (at + 1) & (seen->capacity - 1);
    }
    return &seen->slots[at];
}

static int grow(struct strata_seen *seen, struct strata_error *err) {
    struct strata_seen larger = {.count = seen->count};
    larger.capacity = seen->capacity ? 2 * seen->capacity : FIRST_SLOTS;
    if (larger.capacity > seen->largest) larger.capacity = seen->largest;
    int code = strata_alloc(&larger.slots, larger.capacity, sizeof *larger.slots, err);
    if (code) return code;
    for (size_t i = 0; i < seen->capacity; i++)
        if (seen->slots[i].low | seen->slots[i].high) *slot_of(&larger, seen->slots[i]) = seen->slots[i];
    free(seen->slots);
    seen->slots = larger.slots;
    seen->capacity = larger.capacity;
    return 0;
}

int strata_seen_open(struct strata_seen **out, size_t memory, struct strata_error *err) {
    struct strata_seen *seen;
    int code = strata_alloc(&seen, 1, sizeof *seen, err);
    *out = code ? NULL : seen;
    if (code) return code;
    size_t half = 1;
    while (half <= memory / 4) half *= 2;
    if (half < LEAST_HALF) half = LEAST_HALF;
    seen->largest = half / sizeof *seen->slots;
    seen->words = half / sizeof *seen->filter;
    return 0;
}

int strata_seen_add(struct strata_seen *seen, bool *fresh, struct strata_hash id, struct strata_error *err) {
    int code = 0;
    if (!(id.low | id.high)) id.low = 1;
    if (4 * (seen->count + 1) > 3 * seen->capacity)
        code = seen->capacity < seen->largest ? grow(seen, err) : spill(seen, err);
    if (code) return code;
    struct strata_hash *slot = slot_of(seen, id);
    bool found = slot->low | slot->high;
    if (!found) code = find_in_runs(seen, &found, id, err);
    if (code) return code;
    *fresh = !found;
    if (!found) {
        *slot = id;
        seen->count++;
    }
    return 0;
}

size_t strata_seen_runs(const struct strata_seen *seen) {
    return seen->run_count;
}

void strata_seen_close(struct strata_seen *seen) {
    if (!seen) return;
    for (size_t i = 0; i < seen->run_count; i++) close(seen->runs[i].handle);
    free(seen->filter);
    free(seen->slots);
    free(seen);
}
