/* What the answers kept for one sample say under a cut: the one reading shared by difficulty.jsonl, summaries and
 * `strata select`. */
#ifndef STRATA_DIFFICULTY_EVALUATE_H
#define STRATA_DIFFICULTY_EVALUATE_H

#include "difficulty/score.h"
#include "store/store.h"

struct strata_evaluation {
    enum strata_stratum pism, chance, cmab;
    struct strata_pism_outcome outcome; /* of PISM; meaningful when the sample has images */
    double chance_p;                    /* 0: none known */
    unsigned chance_need;
    bool plain_complete; /* ratio 0 has all its draws: right / drawn is the pass rate */
    unsigned plain_right, plain_drawn;
    uint64_t truncated; /* answers cut off, of all kept */
    /* The attempt that CMAB counts: the first right one, else the first. */
    unsigned attempts; /* made, up to the one that counts when it is right */
    bool correct, cmab_truncated;
    size_t tokens;
    struct strata_buffer response; /* cleared and refilled at each use */
    struct strata_cmab_rho rho;
};
/* Zero-initialise once, reuse, free at the end. */
int strata_evaluate(struct strata_evaluation *out, struct strata_store *store,
                    const struct strata_stored_sample *sample, const struct strata_cut *cut, unsigned metrics,
                    struct strata_error *err);
/* Appends the sample's line of difficulty.jsonl, without its newline. */
void strata_evaluation_line(struct strata_buffer *out, const struct strata_stored_sample *sample,
                            const struct strata_evaluation *evaluation, unsigned metrics);
void strata_evaluation_free(struct strata_evaluation *evaluation);

/* The chance rule's threshold for a sample whose guess is right with probability `chance` (0: unknown); 0: no rule. */
unsigned strata_cut_chance_need(double *p, const struct strata_cut *cut, double chance);

/* A cut as one line of JSON and back, as the run store keeps it. */
char *strata_cut_text(const struct strata_cut *cut); /* owned by the caller; NULL when memory is out */
int strata_cut_parse(struct strata_cut *cut, const char *text, const char *name, struct strata_error *err);
/* Names of the settings of a run directory that others look up. */
#define STRATA_RUN_DATA          "data"                           /* where the data set lies */
#define STRATA_RUN_DATA_HASH     "data set (hash of its content)" /* strata_hash_text of the file */
#define STRATA_RUN_MISSING_IMAGE "missing-image"                  /* error | prepend */
#define STRATA_RUN_SYSTEM        "system text"                    /* "" for none */
/* All of them, in the order in which they are shown; a run has those that its metrics need. The last is the cut. */
#define STRATA_RUN_SETTINGS 23
extern const char *const strata_run_settings[STRATA_RUN_SETTINGS];
/* The cut and the metrics that a run directory was last scored with; `name` places errors. */
int strata_run_cut(struct strata_cut *cut, unsigned *metrics, struct strata_store *store, const char *name,
                   struct strata_error *err);

#endif
