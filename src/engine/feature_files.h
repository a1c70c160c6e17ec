/* Image features on disk, for runs to come: DIR/KEY.features, one file an image, keyed by content. Bounded: what was
 * used longest ago goes first (by the files' times, so several processes may share a directory). A file that is cut
 * short or changed is not used. Nothing here is needed for a result: what cannot be read or written is computed. */
#ifndef STRATA_ENGINE_FEATURE_FILES_H
#define STRATA_ENGINE_FEATURE_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "strata/error.h"

struct feature_files;
/* identity: everything but the pixels that the features depend on. limit: bytes at most in the directory. */
int feature_files_open(struct feature_files **out, const char *directory, size_t limit, const char *identity,
                       struct strata_error *err);
void feature_files_close(struct feature_files *files);
/* image: hash of the pixels (feature_cache_key). Fills embeds (count floats) when they are there. */
bool feature_files_get(struct feature_files *files, struct strata_hash image, float *embeds, size_t count);
void feature_files_put(struct feature_files *files, struct strata_hash image, const float *embeds, size_t count);

#endif
