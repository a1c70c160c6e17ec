/* The door of the engines: forwards to the table behind it. */
#include "engine/engine.h"

#include <stdlib.h>

#include "base/memory.h"

struct strata_engine {
    struct strata_engine_vtable vtable;
    void *self;
};

int strata_engine_wrap(struct strata_engine **out, const struct strata_engine_vtable *vtable, void *self,
                       struct strata_error *err) {
    int code = strata_alloc(out, 1, sizeof **out, err);
    if (code) {
        vtable->destroy(self);
        return code;
    }
    **out = (struct strata_engine){.vtable = *vtable, .self = self};
    return 0;
}

unsigned strata_engine_capabilities(const struct strata_engine *engine) {
    return engine->vtable.capabilities(engine->self);
}

bool strata_engine_has_room(const struct strata_engine *engine, uint32_t draws) {
    return engine->vtable.has_room(engine->self, draws);
}

int strata_engine_submit(struct strata_engine *engine, const struct strata_request *request, struct strata_error *err) {
    if (request->draws == 0 || (request->forced_ids && request->draws != 1))
        return strata_fail(err, STRATA_ERR_USAGE, "a request asks for %u draws", request->draws);
    return engine->vtable.submit(engine->self, request, err);
}

int strata_engine_poll(struct strata_engine *engine, struct strata_result *result, bool *got,
                       struct strata_error *err) {
    *result = (struct strata_result){0};
    *got = false;
    return engine->vtable.poll(engine->self, result, got, err);
}

void strata_engine_cancel(struct strata_engine *engine, uint64_t tag) {
    engine->vtable.cancel(engine->self, tag);
}

void strata_engine_stats(const struct strata_engine *engine, struct strata_engine_stats *stats) {
    *stats = (struct strata_engine_stats){0};
    engine->vtable.stats(engine->self, stats);
}

const char *strata_engine_identity(const struct strata_engine *engine) {
    return engine->vtable.identity(engine->self);
}

void strata_engine_destroy(struct strata_engine *engine) {
    if (!engine) return;
    engine->vtable.destroy(engine->self);
    free(engine);
}

void strata_result_free(struct strata_result *result) {
    if (!result) return;
    free(result->text);
    free(result->ids);
    free(result->logprobs);
    free(result->sampled_logprobs);
    if (result->attention) {
        free(result->attention->masses);
        free(result->attention->segments);
        free(result->attention->map);
        free(result->attention);
    }
    *result = (struct strata_result){0};
}

void *strata_engine_self(const struct strata_engine *engine, const struct strata_engine_vtable *vtable) {
    return engine->vtable.poll == vtable->poll ? engine->self : NULL;
}
