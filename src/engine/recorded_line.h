/* Private to the recorded engine: the lines of its files. */
#ifndef STRATA_ENGINE_RECORDED_LINE_H
#define STRATA_ENGINE_RECORDED_LINE_H

#include "engine/engine.h"

#define STRATA_RECORDED_FORMAT  "strata-cmab"
#define STRATA_RECORDED_VERSION 1

struct strata_recorded_answer {
    char *id;
    char prompt_md5[33]; /* of the rendered chat, one placeholder an image */
    size_t images;
    struct strata_result result; /* with its attention; tag and draw are the caller's */
};
/* `name` (FILE:LINE) places errors, `line` is its number. On error *out is empty. */
int strata_recorded_parse(struct strata_recorded_answer *out, const char *text, size_t length, const char *path,
                          size_t line, struct strata_error *err);
void strata_recorded_answer_free(struct strata_recorded_answer *answer);

/* The first line: how the answers were drawn, and as a text of its own what determines them (model and settings). */
int strata_recorded_parse_header(struct strata_sampling *sampling, struct strata_buffer *identity, const char *text,
                                 size_t length, const char *path, struct strata_error *err);

#endif
