/* The six benchmarks: what they are, their prompts and their images (spec: benchmarks, sections 0, 1 and 8).
 *
 * Where VLMEvalKit raises an exception, the functions of this room return STRATA_ERR_INPUT and `what` begins with the
 * exception's name: "KeyError: …". */
#ifndef STRATA_EVAL_BENCHMARK_H
#define STRATA_EVAL_BENCHMARK_H

#include "eval/cells.h"

enum strata_benchmark {
    STRATA_MATHVISTA,
    STRATA_MMVET,
    STRATA_OCRBENCH,
    STRATA_HALLUSIONBENCH,
    STRATA_MMMU,
    STRATA_MMSTAR,
    STRATA_BENCHMARKS
};
struct strata_benchmark_facts {
    const char *name, *dataset, *md5; /* dataset: also the file's name, with .tsv */
    const char *headline;             /* what the paper prints */
    double paper[4];                  /* tables 1 to 4, row GRPO-only(mid+hard) of Qwen2.5-VL-7B */
    unsigned rows;                    /* of the published file that are used */
    bool choices;                     /* multiple choice: prompt with options, scale 0-1 */
    unsigned judge_tries;             /* 0: no judge */
    bool needs_judge;                 /* no rule-based path in the kit */
};
extern const struct strata_benchmark_facts strata_benchmarks[STRATA_BENCHMARKS];
/* By name or data set name, case ignored; STRATA_ERR_USAGE listing them. */
int strata_benchmark_parse(enum strata_benchmark *out, const char *name, struct strata_error *err);

/* A cell that must exist: KeyError otherwise. Borrowed. */
int strata_row_cell(const json_t **out, const json_t *row, const char *column, struct strata_error *err);
/* The items that Python's for loop would see: a list's, or the characters of a text; else TypeError. New reference. */
int strata_python_items(json_t **out, const json_t *value, struct strata_error *err);
/* eval(cell), then its items. typed: strata_cells_typed of the column. */
int strata_row_list(json_t **out, const json_t *row, const char *column, bool typed, struct strata_error *err);
/* toliststr: "[...]" is a list whose items become texts, any other text a list of one. */
int strata_text_list(json_t **out, struct strata_span text, struct strata_error *err);

/* ---- images ---- */

/* One row's cell of the column `image`; text is borrowed. */
struct strata_image_cell {
    char *index; /* owned by the caller */
    struct strata_span text;
};
/* A text of at most 64 bytes names the row whose image is shared; afterwards every text is an image or a list of
 * images. AssertionError for a name that leads nowhere (before head, also for an empty text); with keep_bad such a text
 * stays as it is. */
#define STRATA_IMAGE_REFERENCE 64
int strata_images_resolve(struct strata_image_cell *cells, size_t count, enum strata_kit kit, bool keep_bad,
                          struct strata_error *err);

/* ---- prompts ---- */

struct strata_part {
    bool image;
    size_t index; /* of the image, 0-based */
    char *text;
};
struct strata_parts {
    struct strata_part *items;
    size_t count, capacity;
};
void strata_parts_free(struct strata_parts *parts);
/* The messages that the kit sends for a row with `images` images. */
int strata_benchmark_prompt(struct strata_parts *out, const json_t *row, size_t images, enum strata_benchmark benchmark,
                            struct strata_error *err);
/* SPLIT_THINK: what is scored of a prediction, and the thinking (both borrowed but for a joined thinking, which is
 * written to `joined`). */
void strata_split_thinking(struct strata_span *prediction, struct strata_span *thinking, struct strata_buffer *joined,
                           struct strata_span text);

#endif
