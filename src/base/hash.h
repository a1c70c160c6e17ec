/* Content identity: XXH3-128 (not cryptographic; it tells files and settings apart, it proves nothing). */
#ifndef STRATA_BASE_HASH_H
#define STRATA_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "strata/error.h"

struct strata_hash {
    uint64_t low, high;
};
struct strata_hash strata_hash_bytes(const void *bytes, size_t length);
/* Mixes another block into an existing hash; the order of blocks matters. */
struct strata_hash strata_hash_combine(struct strata_hash hash, const void *bytes, size_t length);
int strata_hash_file(struct strata_hash *out, const char *path, struct strata_error *err);
/* 32 lower-case hex digits and NUL. */
void strata_hash_text(char out[33], struct strata_hash hash);

#endif
