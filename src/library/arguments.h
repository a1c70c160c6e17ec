/* Private to the public interface: structures that callers fill, whatever the age of their header. */
#ifndef STRATA_LIBRARY_ARGUMENTS_H
#define STRATA_LIBRARY_ARGUMENTS_H

#include <stddef.h>

#include "difficulty/cmab.h"
#include "strata/error.h"
#include "strata/vlm.h"

/* Copies a caller's structure, whose first member is its size, into `own` of own_size bytes: what the caller's header
 * did not know yet is zero. `least` is the size in the first version of the interface; what a newer header knows beyond
 * own_size must be zero. given may be NULL: all zero. `name` is the structure's, for errors. */
int strata_take(void *own, size_t own_size, const void *given, size_t least, const char *name,
                struct strata_error *err);

/* options may be NULL. */
int strata_take_balance(struct strata_cmab_options *cmab, const struct strata_balance_options *options,
                        struct strata_error *err);

#endif
