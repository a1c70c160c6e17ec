/* From options to the HTTP engine, with its cache of answers. */
#ifndef STRATA_CLI_SETUP_HTTP_H
#define STRATA_CLI_SETUP_HTTP_H

#include "base/json.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "store/cache.h"

/* --url, --model, --api-key-env, --api-key-file, --in-flight, --one-by-one, --ca-file, --timeout, --call-budget,
 * --server-identity. The cache (NULL: none) must outlive the engine. */
int strata_setup_http(struct strata_engine **out, struct strata_cache *cache, const struct strata_arguments *arguments,
                      struct strata_error *err);
/* --judge, --judge-model, --judge-key-env, --judge-key-file; *out NULL when there is no --judge. */
int strata_setup_judge(struct strata_engine **out, struct strata_cache *cache, const struct strata_arguments *arguments,
                       struct strata_error *err);
/* The cache that --cache or the user's cache directory has; *out NULL with --no-cache, or where there is no server to
 * ask. */
int strata_setup_cache(struct strata_cache **out, const struct strata_arguments *arguments, struct strata_error *err);
/* One line about calls, repetitions and tokens on stderr; nothing for other engines or NULL. */
void strata_print_account(const char *name, const struct strata_engine *engine);
/* The same as an object; NULL for other engines or NULL. */
json_t *strata_account_json(const struct strata_engine *engine);

#endif
