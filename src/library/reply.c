/* What a reply says. */
#include "library/reply.h"

#include <math.h>
#include <stdlib.h>

#include "library/arguments.h"
#include "strata/vlm.h"

void strata_reply_free(struct strata_reply *reply) {
    if (!reply) return;
    strata_result_free(&reply->result);
    free(reply->cells);
    free(reply);
}

const char *strata_reply_text(const struct strata_reply *reply, size_t *length) {
    if (length) *length = reply->result.text ? reply->result.text_length : 0;
    return reply->result.text ? reply->result.text : "";
}

int strata_reply_cut_off(const struct strata_reply *reply) {
    return reply->result.finish == STRATA_FINISH_LENGTH;
}

size_t strata_reply_prompt_tokens(const struct strata_reply *reply) {
    return reply->result.prompt_tokens;
}

size_t strata_reply_tokens(const struct strata_reply *reply) {
    return reply->result.N;
}

const int32_t *strata_reply_ids(const struct strata_reply *reply) {
    return reply->result.ids;
}

const float *strata_reply_logprobs(const struct strata_reply *reply) {
    return reply->result.logprobs;
}

size_t strata_reply_segments(const struct strata_reply *reply) {
    return reply->result.attention ? reply->result.attention->S : 0;
}

const float *strata_reply_masses(const struct strata_reply *reply) {
    return reply->result.attention ? reply->result.attention->masses : NULL;
}

const char *strata_reply_segment(const struct strata_reply *reply, size_t s, size_t *begin, size_t *count,
                                 size_t *image) {
    if (s >= strata_reply_segments(reply)) return NULL;
    const struct strata_segment *segment = &reply->result.attention->segments[s];
    if (begin) *begin = segment->begin;
    if (count) *count = segment->count;
    if (image) *image = segment->image;
    return strata_segment_name(segment->kind);
}

int strata_reply_balance(double *rho, double *rho_t, double *rho_lt, const struct strata_reply *reply,
                         const struct strata_balance_options *options, struct strata_error *err) {
    struct strata_cmab_options cmab;
    struct strata_cmab_masses masses;
    struct strata_cmab_rho balance = {0};
    if (!reply->result.attention)
        return strata_fail(err, STRATA_ERR_USAGE, "the prompt was not asked with STRATA_WANT_ATTENTION");
    int code = strata_take_balance(&cmab, options, err);
    if (!code) code = strata_cmab_fold(&masses, reply->result.attention, err);
    if (code) return code;
    /* Where nothing is defined, the call below leaves them as they are. */
    for (size_t i = 0; rho_t && i < masses.N; i++) rho_t[i] = (double)NAN;
    for (size_t i = 0; rho_lt && i < masses.L * masses.N; i++) rho_lt[i] = (double)NAN;
    code = strata_cmab_rho(&balance, rho_t, rho_lt, &masses, &cmab, err);
    if (!code && rho) *rho = balance.defined ? balance.rho : (double)NAN;
    strata_cmab_masses_free(&masses);
    return code;
}

const float *strata_reply_map(const struct strata_reply *reply, size_t image, size_t *rows, size_t *columns) {
    const struct strata_attention *attention = reply->result.attention;
    if (!attention || !attention->map || image >= reply->image_count) return NULL;
    for (size_t s = 0; s < attention->S; s++) {
        const struct strata_segment *segment = &attention->segments[s];
        const struct strata_grid *cells = &reply->cells[image];
        if (segment->kind != STRATA_SEGMENT_IMAGE || segment->image != image) continue;
        if ((size_t)cells->rows * cells->columns != segment->count) return NULL;
        if (rows) *rows = cells->rows;
        if (columns) *columns = cells->columns;
        return attention->map + segment->begin;
    }
    return NULL;
}
