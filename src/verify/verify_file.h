/* Grading files of JSON lines: what `strata verify` is made of.
 *
 * A line is an object with solution (or ground_truth, or answer) and completion (or response, prediction, output), and
 * where it has them ability, verifier, question, and for boxes the data fields
 *     coordinates: {"gold": NAME, "answer": NAME}   NAME: same, relative, original, resized
 *     image_size, resized_size: [width, height]     pixels
 *     det_verifier_normalized: true                 (V-Triune, also inside reward_model.verifier_parm) gold is relative
 * A field of the line wins over the option. */
#ifndef STRATA_VERIFY_VERIFY_FILE_H
#define STRATA_VERIFY_VERIFY_FILE_H

#include <jansson.h>
#include <stdio.h>

#include "verify/custom.h"
#include "verify/verify.h"

struct strata_verify_options {
    enum strata_verify_mode mode;
    const char *verifier;                /* for lines without one; may be NULL */
    struct strata_box_frame frame;       /* for lines without their own */
    struct strata_custom_grader *custom; /* grades instead of mode; may be NULL */
};
/* The input of one line; texts are borrowed from record. `where` names the line in errors. completion may be absent
 * when `gold_only`. */
int strata_verify_record_input(struct strata_verify_input *out, const json_t *record,
                               const struct strata_verify_options *options, bool gold_only, const char *where,
                               struct strata_error *err);
/* Grades one line and adds score, correct, kind, extracted, reason to record. */
int strata_verify_record(struct strata_verdict *verdict, json_t *record, const struct strata_verify_options *options,
                         const char *where, struct strata_error *err);
struct strata_verify_summary {
    size_t graded, correct, truncated, bad;
    double score; /* sum */
};
/* Grades every line of path and writes the lines, with their verdicts, to `out` (not written when NULL). A bad line is
 * an error naming it; with on_bad it is handed over, counted and left out. */
typedef void strata_verify_bad(void *context, const struct strata_error *error);
int strata_verify_stream(struct strata_verify_summary *summary, FILE *out, const char *path,
                         const struct strata_verify_options *options, strata_verify_bad *on_bad, void *context,
                         struct strata_error *err);
/* The steps of grading line `number` (from 1) of path, one a line, and the verdict at the end, appended to out. */
int strata_verify_explain(struct strata_buffer *out, const char *path, size_t number,
                          const struct strata_verify_options *options, struct strata_error *err);
/* Calls on_bad for every gold of path that no answer can satisfy; *checked and *unusable count. */
int strata_verify_check_file(size_t *checked, size_t *unusable, const char *path,
                             const struct strata_verify_options *options, strata_verify_bad *on_bad, void *context,
                             struct strata_error *err);

#endif
