/* `strata select` in its simplest form: cut a finished or partial run again (bands, tau, easy bound, CMAB options; no
 * model), take a union of strata, and write those records of the data set, with a manifest beside them. */
#ifndef STRATA_STUDY_SELECT_H
#define STRATA_STUDY_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/export.h"
#include "difficulty/score.h"
#include "strata/error.h"

/* What the other measure must say of a sample that the strata of this one select. */
enum strata_agreement {
    STRATA_AGREEMENT_ANY,
    STRATA_AGREEMENT_SAME,     /* the same stratum */
    STRATA_AGREEMENT_DIFFERENT /* another of the four strata */
};

struct strata_select_options {
    const char *run;  /* run directory */
    const char *data; /* data set, or NULL: the one the run was made from (its content must still be the same) */
    const char *out;  /* what to write; the manifest is OUT + ".manifest.json" */
    enum strata_metric metric; /* whose strata */
    bool by_chance;            /* PISM's strata under --chance */
    unsigned strata;           /* bits, strata_stratum_set; 0: any */
    const char *ability;       /* comma-separated abilities to keep, or NULL: all */
    /* Pass-rate band, inclusive, over the complete rows of ratio 0 (drawn == K); used when pass_rate is true. */
    bool pass_rate;
    double pass_low, pass_high;
    enum strata_agreement agreement; /* needs a run with both measures */
    size_t cap;     /* 0: none; else at most so many samples of each ability, drawn at random (seeded) */
    bool responses; /* records get a column `response`: the right answer whose balance was measured, where there is one
                     */
    /* --random-like: instead of the selection, as many samples drawn at random (seeded, without replacement) from all
     * samples of the run that the ability filter lets through, whatever their stratum; in data order. */
    bool random_like;
    uint64_t seed;
    const struct strata_cut *cut; /* NULL: the cut the run was made with */
    enum strata_format format;
    enum strata_export_paths paths;
    bool launch; /* write the trainer's launch file too (study/launch.h) */
};
void strata_select_options_default(struct strata_select_options *options);

/* The cut that a run directory was last scored with: start from it, change what the user asked for, pass it above. */
int strata_select_cut(struct strata_cut *cut, unsigned *metrics, const char *run, struct strata_error *err);

struct strata_select_summary {
    size_t samples;    /* in the run, after the ability filter */
    size_t selected;   /* records written */
    size_t pending;    /* whose stratum needs draws that were not made: `strata score` with these settings makes them */
    size_t incomplete; /* left out of a pass-rate band because ratio 0 is not complete */
    size_t strata[STRATA_STRATA]; /* samples of each stratum under this cut */
    char launch[512];             /* the launch file; "" for none */
    bool launch_kept;             /* it was there already */
};

/* STRATA_FORMAT_JSONL: records are written as read (columns, order and numbers kept), with "id" put first where the
 * record had none. */
int strata_select(struct strata_select_summary *summary, const struct strata_select_options *options,
                  struct strata_error *err);

#endif
