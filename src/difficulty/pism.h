/* PISM, Progressive Image Semantic Masking (method.md section 1), as pure logic: which draws of a sample may be asked
 * for next, when a ratio is decided, and what the answers say. It knows no engine, no image and no store.
 *
 *   P(lambda) = right / K;  a ratio passes when right >= need = ceil(tau*K);  lambda* = the smallest ratio that fails.
 *
 * The sequential rule: ratios in ascending order, draws 0, 1, … of each in turn, until the ratio is decided
 * (right >= need, or right + draws left < need); the first ratio that fails ends the sample; ratio 0 always runs all K
 * draws. Since a draw is a function of (seed, sample, ratio, draw) alone, this gives exactly the stratum of the whole
 * K x |ratios| grid. What is reported is what this rule reads from the table of answers, whatever else is in the table:
 * batch, order and speculation cannot change it. */
#ifndef STRATA_DIFFICULTY_PISM_H
#define STRATA_DIFFICULTY_PISM_H

#include <stdbool.h>
#include <stdint.h>

#include "difficulty/strata.h"
#include "strata/error.h"

#define STRATA_PISM_RATIOS    10  /* tenths 0..9 */
#define STRATA_PISM_MAX_DRAWS 256 /* K at most */

/* What cuts; changing it needs no new draws except where the rule then asks for draws that were not made. */
struct strata_pism_rule {
    unsigned draws;     /* K, 1..STRATA_PISM_MAX_DRAWS */
    unsigned ratios;    /* bit i: ratio i/10 is visited; bit 0 is always set */
    unsigned need;      /* ceil(tau*K), 1..K */
    bool full_curve;    /* the whole grid is drawn */
    unsigned hard_to;   /* tenths: 0 < lambda* <= hard_to is hard (4) */
    unsigned easy_from; /* tenths: lambda* >= easy_from is easy (7) */
    bool easy_open;     /* Table A: lambda* > easy_from is easy */
};
/* The paper's: K 10, all ten ratios, tau 0.1, bands 0.4 and 0.7, closed. */
void strata_pism_rule_default(struct strata_pism_rule *rule);

/* *need = ceil(tau*K), exactly: tau is decimal text ("0.1"), never a float. 0 < tau <= 1, at most 9 decimals. */
int strata_pism_need(unsigned *need, const char *tau, unsigned draws, struct strata_error *err);
/* "0,0.1,0.5" -> bits; every ratio a tenth below 1, ascending, 0 among them. */
int strata_pism_ratios(unsigned *ratios, const char *text, struct strata_error *err);
/* "0.4,0.7" -> 4, 7. */
int strata_pism_bands(unsigned *hard_to, unsigned *easy_from, const char *text, struct strata_error *err);

/* --chance: the smallest number of right draws out of `draws` that guessing with probability p explains in at most 5 %
 * of cases, P(X >= c) <= 0.05 for X ~ Binomial(draws, p); draws+1 when no number does. 0 < p < 1. */
unsigned strata_pism_chance_need(unsigned draws, double p);

enum strata_draw_state { STRATA_DRAW_OPEN, STRATA_DRAW_ASKED, STRATA_DRAW_WRONG, STRATA_DRAW_RIGHT };

/* The answers of one sample. Zero-initialised is empty; chance_need 0: no chance rule. */
struct strata_pism {
    unsigned chance_need; /* strata_pism_chance_need; above K: too few draws to tell from guessing */
    uint8_t state[STRATA_PISM_RATIOS][STRATA_PISM_MAX_DRAWS]; /* enum strata_draw_state */
};

/* The next draws to ask for: [*draw, *draw + *count) of ratio *tenths, all OPEN; false when there are none now (answers
 * are awaited, or the sample is finished). They share one image only at ratio 0, so *count > 1 only there.
 * speculate false: only draws that the sequential rule is certain to read. true: also draws it may come to read,
 * likely ones first. The caller marks them ASKED by strata_pism_ask and answers by strata_pism_answer. */
bool strata_pism_next(const struct strata_pism *sample, const struct strata_pism_rule *rule, bool speculate,
                      unsigned *tenths, unsigned *draw, unsigned *count);
void strata_pism_ask(struct strata_pism *sample, unsigned tenths, unsigned draw, unsigned count);
void strata_pism_answer(struct strata_pism *sample, unsigned tenths, unsigned draw, bool right);
/* A request that failed: the draw is OPEN again. Never graded. */
void strata_pism_reopen(struct strata_pism *sample, unsigned tenths, unsigned draw);

struct strata_curve_entry {
    unsigned tenths;
    unsigned right, drawn; /* of the draws that the sequential rule reads (all K with full_curve) */
    bool decided;
};
struct strata_pism_outcome {
    bool finished; /* false: the stratum is STRATA_STRATUM_PENDING */
    enum strata_stratum stratum;
    int lambda_star; /* tenths; -1: no ratio failed */
    struct strata_curve_entry curve[STRATA_PISM_RATIOS];
    unsigned curve_count;               /* = ratios of the rule; those never visited have drawn 0, decided false */
    unsigned draws, draws_saved;        /* of the sequential rule; draws + draws_saved = K x ratios when finished */
    unsigned extra;                     /* answers in the table that the rule does not read: speculation */
    enum strata_stratum chance_stratum; /* STRATA_STRATUM_NOT_APPLICABLE without a chance rule or when K is too small */
    int chance_lambda_star;
};
void strata_pism_read(struct strata_pism_outcome *outcome, const struct strata_pism *sample,
                      const struct strata_pism_rule *rule);
/* The stratum of lambda* (tenths, -1: none failed) under the rule's bands. */
enum strata_stratum strata_pism_stratum(const struct strata_pism_rule *rule, int lambda_star);

#endif
