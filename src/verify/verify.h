/* Grading: does a completion answer the question? Built once, for scoring, training and evaluation alike.
 *
 * The grader is chosen by the sample's verifier or ability when it names one, else by the gold answer:
 *     verifier/ability                                   kind
 *     detection, grounding, cv_detection, cv_grounding   "box"
 *     ocr                                                "ocr"
 *     count, counting                                    "count"
 *     anything else: by the gold                         "box" for a list of bbox_2d, "choice" for option letters,
 *                                                        "yesno", "word" for words, otherwise "math"
 * The kind that graded is part of the verdict. */
#ifndef STRATA_VERIFY_VERIFY_H
#define STRATA_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "strata/error.h"

enum strata_verify_mode {
    STRATA_VERIFY_STRICT,      /* the default: the answer only, never the thinking; see docs/decisions.md */
    STRATA_VERIFY_COMPAT,      /* what the paper's plugin returns: the kinds box, ocr and count (named by verifier or
                                  ability) by visual_perception_accuracy, everything else by external_r1v_acc */
    STRATA_VERIFY_MATH_VERIFY, /* verify(parse(gold), parse(completion)) of Math-Verify 0.8.0 */
    STRATA_VERIFY_EXTERNAL_R1V_ACC,           /* the plugin's functions by name, whatever the ability */
    STRATA_VERIFY_VISUAL_PERCEPTION_ACCURACY, /* type guessed from the gold */
    STRATA_VERIFY_VISUAL_REASONING_ACCURACY,
};
/* "strict", "compat", "math_verify", "external_r1v_acc" …; STRATA_ERR_USAGE listing them when the name is unknown. */
int strata_verify_mode_parse(enum strata_verify_mode *out, const char *name, struct strata_error *err);
const char *strata_verify_mode_name(enum strata_verify_mode mode);

/* What the numbers of a box mean. Never guessed: SAME means "the same on both sides, compare them as they are". */
enum strata_coordinates {
    STRATA_COORDINATES_SAME,
    STRATA_COORDINATES_RELATIVE, /* 0..1000 of width and height */
    STRATA_COORDINATES_ORIGINAL, /* pixels of the original image */
    STRATA_COORDINATES_RESIZED,  /* pixels of the image as the model saw it */
};
/* "same", "relative", "original", "resized"; STRATA_ERR_USAGE for another name. */
int strata_coordinates_parse(enum strata_coordinates *out, const char *name, struct strata_error *err);
struct strata_box_frame {
    enum strata_coordinates gold, answer; /* both SAME, or both something else */
    double width, height;                 /* of the original image, pixels; needed for ORIGINAL */
    double resized_width, resized_height; /* needed for RESIZED */
};

/* What was asked and answered. Texts are bytes with lengths (they may hold NUL); ability and verifier may be NULL. */
struct strata_verify_input {
    const char *solution;
    size_t solution_length;
    const char *completion;
    size_t completion_length;
    const char *ability;           /* the sample's ability column: picks the grader when it names one */
    const char *verifier;          /* the sample's verifier column, or --verifier; wins over ability */
    const char *question;          /* may be NULL; only to tell how many choices there are */
    struct strata_box_frame frame; /* zero: coordinates are compared as they are (strict mode only) */
    struct strata_buffer *steps;   /* may be NULL; else one line a step is appended, for --explain */
};
struct strata_verdict {
    double score;     /* [0,1] */
    bool correct;     /* score >= 0.5; for "ocr" only equal texts, for "box" a score >= 0.5 */
    bool truncated;   /* an unclosed <think>: there is no answer (strict mode) */
    const char *kind; /* which grader decided: "math", "choice", "yesno", "word", "count", "ocr", "box" (static) */
    struct strata_buffer extracted; /* the answer as extracted */
    struct strata_buffer reason;    /* one line: why this score */
};
/* Grades one answer. verdict must be zero-initialised or reused (its buffers are cleared and refilled). Thread-safe:
 * no state, no locale. A failure is an error (unusable gold, out of memory), never a wrong answer. Work is bounded by
 * steps and bits, not by a clock: about 50 ms at worst, the same verdict everywhere. */
int strata_verify(struct strata_verdict *verdict, const struct strata_verify_input *input, enum strata_verify_mode mode,
                  struct strata_error *err);
void strata_verdict_free(struct strata_verdict *verdict);

/* Is this gold one that some answer can satisfy in this mode? STRATA_ERR_INPUT saying what is wrong with it. */
int strata_verify_check_gold(const struct strata_verify_input *input, enum strata_verify_mode mode,
                             struct strata_error *err);

/* The probability that a guess is right, for --chance auto: 1/(number of choices) when the question lists choices or
 * the gold is yes/no, else 0 (unknown). */
double strata_verify_chance(const struct strata_verify_input *input);

#endif
