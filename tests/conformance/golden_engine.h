/* The engine as the conformance programs open it: the options of their command line, images at the model's own size,
 * and vision placeholders allowed, because transformers samples them too. */
#ifndef STRATA_TESTS_GOLDEN_ENGINE_H
#define STRATA_TESTS_GOLDEN_ENGINE_H

#include "golden.h"

#include "engine/native.h"

static inline struct strata_native_options golden_engine_options(int count, char **arguments, const char *model) {
    struct strata_native_options options;
    strata_native_options_default(&options);
    options.model = model;
    options.compute = golden_option(count, arguments, "--compute", "f32");
    options.isa = golden_option(count, arguments, "--isa", "auto");
    options.threads = (size_t)strtoul(golden_option(count, arguments, "--threads", "0"), NULL, 10);
    options.max_pixels = SIZE_MAX;
    options.memory = (size_t)1 << 28;
    options.allow_placeholders = true;
    return options;
}

#endif
