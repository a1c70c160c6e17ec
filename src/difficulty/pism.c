/* PISM's sequential rule over a table of answers. One walk (walk) is the only place that knows the rule: asking for
 * draws and reading the outcome both follow it. */
#include "difficulty/pism.h"

#include <string.h>

#include "base/elementary.h"

void strata_pism_rule_default(struct strata_pism_rule *rule) {
    *rule = (struct strata_pism_rule){
        .draws = 10, .ratios = (1u << STRATA_PISM_RATIOS) - 1, .need = 1, .hard_to = 4, .easy_from = 7};
}

/* Decimal text to numerator / 10^digits; false on anything else. At most 9 digits on either side. */
static bool decimal(uint64_t *numerator, uint64_t *denominator, const char *text, size_t length) {
    uint64_t value = 0, scale = 1;
    size_t whole = 0, fraction = 0, i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9' && whole < 9; i++, whole++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    if (i < length && text[i] == '.') {
        for (i++; i < length && text[i] >= '0' && text[i] <= '9' && fraction < 9; i++, fraction++) {
            value = value * 10 + (uint64_t)(text[i] - '0');
            scale *= 10;
        }
    }
    *numerator = value;
    *denominator = scale;
    return i == length && whole + fraction > 0;
}

int strata_pism_need(unsigned *need, const char *tau, unsigned draws, struct strata_error *err) {
    uint64_t numerator, denominator;
    if (draws < 1 || draws > STRATA_PISM_MAX_DRAWS)
        return strata_fail(err, STRATA_ERR_USAGE, "%u draws: 1 to %d are possible", draws, STRATA_PISM_MAX_DRAWS);
    if (!decimal(&numerator, &denominator, tau, strlen(tau)) || numerator == 0 || numerator > denominator)
        return strata_fail(err, STRATA_ERR_USAGE, "tau \"%.40s\" is not a decimal number in (0, 1]", tau);
    *need = (unsigned)((numerator * draws + denominator - 1) / denominator);
    return 0;
}

/* One number that is a whole number of tenths, 0..9. */
static bool tenths_of(unsigned *tenths, const char *word, size_t length) {
    uint64_t numerator, denominator;
    if (!decimal(&numerator, &denominator, word, length) || numerator * 10 % denominator != 0) return false;
    uint64_t value = numerator * 10 / denominator;
    *tenths = (unsigned)value;
    return value < STRATA_PISM_RATIOS;
}

int strata_pism_ratios(unsigned *ratios, const char *text, struct strata_error *err) {
    unsigned bits = 0, tenths = 0;
    for (const char *word = text;;) {
        size_t length = strcspn(word, ",");
        if (!tenths_of(&tenths, word, length) || bits >> tenths)
            return strata_fail(err, STRATA_ERR_USAGE, "ratios \"%.60s\": tenths from 0 to 0.9, ascending, are expected",
                               text);
        bits |= 1u << tenths;
        if (!word[length]) break;
        word += length + 1;
    }
    if (!(bits & 1)) return strata_fail(err, STRATA_ERR_USAGE, "ratios \"%.60s\": 0 must be among them", text);
    *ratios = bits;
    return 0;
}

int strata_pism_bands(unsigned *hard_to, unsigned *easy_from, const char *text, struct strata_error *err) {
    const char *comma = strchr(text, ',');
    unsigned low = 0, high = 0;
    if (!comma || !tenths_of(&low, text, (size_t)(comma - text)) || !tenths_of(&high, comma + 1, strlen(comma + 1)) ||
        low >= high)
        return strata_fail(err, STRATA_ERR_USAGE, "PISM bands \"%.60s\": two ascending tenths below 1, as 0.4,0.7",
                           text);
    *hard_to = low;
    *easy_from = high;
    return 0;
}

unsigned strata_pism_chance_need(unsigned draws, double p) {
    double log_factorial[STRATA_PISM_MAX_DRAWS + 1];
    log_factorial[0] = 0;
    for (unsigned n = 1; n <= draws; n++) log_factorial[n] = log_factorial[n - 1] + strata_log((double)n);
    double log_p = strata_log(p), log_q = strata_log(1 - p), tail = 0;
    for (unsigned c = draws;; c--) {
        tail += strata_exp(log_factorial[draws] - log_factorial[c] - log_factorial[draws - c] + (double)c * log_p +
                           (double)(draws - c) * log_q);
        if (tail > 0.05) return c + 1;
        if (c == 0) return 0; /* not reached for 0 < p < 1: the whole distribution is more than 5 % */
    }
}

void strata_pism_ask(struct strata_pism *sample, unsigned tenths, unsigned draw, unsigned count) {
    memset(&sample->state[tenths][draw], STRATA_DRAW_ASKED, count);
}

void strata_pism_answer(struct strata_pism *sample, unsigned tenths, unsigned draw, bool right) {
    sample->state[tenths][draw] = right ? STRATA_DRAW_RIGHT : STRATA_DRAW_WRONG;
}

void strata_pism_reopen(struct strata_pism *sample, unsigned tenths, unsigned draw) {
    sample->state[tenths][draw] = STRATA_DRAW_OPEN;
}

enum strata_stratum strata_pism_stratum(const struct strata_pism_rule *rule, int lambda_star) {
    if (lambda_star == 0) return STRATA_STRATUM_UNSOLVED;
    if (lambda_star < 0) return STRATA_STRATUM_EASY;
    unsigned tenths = (unsigned)lambda_star;
    if (tenths <= rule->hard_to) return STRATA_STRATUM_HARD;
    return tenths > rule->easy_from || (tenths == rule->easy_from && !rule->easy_open) ? STRATA_STRATUM_EASY
                                                                                       : STRATA_STRATUM_MEDIUM;
}

/* A threshold that a ratio passes or fails: tau's, or the binomial test's. */
struct verdict {
    unsigned need;
    bool alive; /* no ratio has failed it so far */
    int lambda_star;
};

static bool undecided(const struct verdict *verdict, unsigned right, unsigned left) {
    return verdict->alive && right < verdict->need && right + left >= verdict->need;
}

/* How many of the next draws are read whatever they answer: each verdict needs that many right or wrong ones first. */
static unsigned certain(const struct verdict *verdict, unsigned right, unsigned left) {
    if (!undecided(verdict, right, left)) return 0;
    unsigned to_pass = verdict->need - right, to_fail = left - to_pass + 1;
    return to_pass < to_fail ? to_pass : to_fail;
}

static unsigned larger(unsigned a, unsigned b) {
    return a > b ? a : b;
}

/* Where the walk stopped because an answer is missing. */
struct frontier {
    unsigned tenths, draw;
    unsigned certain; /* draws [draw, draw + certain) are read whatever happens */
};

/* One ratio by the rule: reads answers in draw order until both verdicts are decided. True when it could be decided;
 * false with *certain_count set when an answer is missing. */
static bool walk_ratio(struct strata_curve_entry *entry, unsigned *certain_count, const struct strata_pism *sample,
                       const struct strata_pism_rule *rule, const struct verdict verdicts[2]) {
    const uint8_t *state = sample->state[entry->tenths];
    bool whole = entry->tenths == 0 || rule->full_curve;
    while (entry->drawn < rule->draws) {
        unsigned left = rule->draws - entry->drawn;
        unsigned sure =
            whole ? left : larger(certain(&verdicts[0], entry->right, left), certain(&verdicts[1], entry->right, left));
        if (sure == 0) break;
        if (state[entry->drawn] < STRATA_DRAW_WRONG) {
            *certain_count = sure;
            return false;
        }
        entry->right += state[entry->drawn] == STRATA_DRAW_RIGHT;
        entry->drawn++;
    }
    entry->decided = true;
    return true;
}

/* The sequential rule over the table. Fills curve and lambda stars; true when it reached its end, else *frontier says
 * what is missing. */
static bool walk(struct strata_pism_outcome *outcome, struct frontier *frontier, const struct strata_pism *sample,
                 const struct strata_pism_rule *rule) {
    struct verdict verdicts[2] = {{.need = rule->need, .alive = true, .lambda_star = -1},
                                  {.need = sample->chance_need,
                                   .alive = sample->chance_need > 0 && sample->chance_need <= rule->draws,
                                   .lambda_star = -1}};
    bool more = true, finished = true;
    outcome->curve_count = 0;
    for (unsigned tenths = 0; tenths < STRATA_PISM_RATIOS; tenths++) {
        if (!(rule->ratios >> tenths & 1)) continue;
        struct strata_curve_entry *entry = &outcome->curve[outcome->curve_count++];
        *entry = (struct strata_curve_entry){.tenths = tenths};
        if (!finished || !more) continue;
        finished = walk_ratio(entry, &frontier->certain, sample, rule, verdicts);
        if (!finished) {
            frontier->tenths = tenths;
            frontier->draw = entry->drawn;
        }
        for (int v = 0; v < 2 && finished; v++) {
            if (!verdicts[v].alive || entry->right >= verdicts[v].need) continue;
            verdicts[v].alive = false;
            verdicts[v].lambda_star = (int)tenths;
        }
        more = rule->full_curve || verdicts[0].alive || verdicts[1].alive;
    }
    outcome->lambda_star = verdicts[0].lambda_star;
    outcome->chance_lambda_star = verdicts[1].lambda_star;
    return finished;
}

void strata_pism_read(struct strata_pism_outcome *outcome, const struct strata_pism *sample,
                      const struct strata_pism_rule *rule) {
    struct frontier frontier;
    outcome->finished = walk(outcome, &frontier, sample, rule);
    outcome->draws = 0;
    for (unsigned i = 0; i < outcome->curve_count; i++) outcome->draws += outcome->curve[i].drawn;
    outcome->draws_saved = outcome->finished ? rule->draws * outcome->curve_count - outcome->draws : 0;
    unsigned answered = 0;
    for (unsigned tenths = 0; tenths < STRATA_PISM_RATIOS; tenths++)
        for (unsigned draw = 0; draw < STRATA_PISM_MAX_DRAWS; draw++)
            answered += sample->state[tenths][draw] >= STRATA_DRAW_WRONG;
    outcome->extra = answered - outcome->draws;
    outcome->stratum = outcome->finished ? strata_pism_stratum(rule, outcome->lambda_star) : STRATA_STRATUM_PENDING;
    if (sample->chance_need == 0 || sample->chance_need > rule->draws)
        outcome->chance_stratum = STRATA_STRATUM_NOT_APPLICABLE;
    else
        outcome->chance_stratum =
            outcome->finished ? strata_pism_stratum(rule, outcome->chance_lambda_star) : STRATA_STRATUM_PENDING;
}

/* The first OPEN draw of [from, to) and how many OPEN ones follow it. */
static bool open_draws(unsigned *draw, unsigned *count, const struct strata_pism *sample, unsigned tenths,
                       unsigned from, unsigned to) {
    const uint8_t *state = sample->state[tenths];
    while (from < to && state[from] != STRATA_DRAW_OPEN) from++;
    *draw = from;
    *count = 0;
    while (from < to && state[from] == STRATA_DRAW_OPEN) from++, ++*count;
    if (tenths > 0 && *count > 1) *count = 1; /* each masked draw has an image of its own */
    return *count > 0;
}

/* The first OPEN draw beyond the frontier among the first `depth` of each ratio. */
static bool open_ahead(unsigned *tenths, unsigned *draw, unsigned *count, const struct strata_pism_outcome *outcome,
                       const struct frontier *frontier, const struct strata_pism *sample, unsigned depth) {
    for (unsigned i = 0; i < outcome->curve_count; i++) {
        *tenths = outcome->curve[i].tenths;
        if (*tenths < frontier->tenths) continue;
        unsigned from = *tenths == frontier->tenths ? frontier->draw : 0;
        if (open_draws(draw, count, sample, *tenths, from, depth)) return true;
    }
    return false;
}

bool strata_pism_next(const struct strata_pism *sample, const struct strata_pism_rule *rule, bool speculate,
                      unsigned *tenths, unsigned *draw, unsigned *count) {
    struct strata_pism_outcome outcome;
    struct frontier frontier;
    if (walk(&outcome, &frontier, sample, rule)) return false;
    *tenths = frontier.tenths;
    if (open_draws(draw, count, sample, frontier.tenths, frontier.draw, frontier.draw + frontier.certain)) return true;
    if (!speculate && !rule->full_curve) return false;
    /* A sample that was mostly right so far needs the first draws of the ratios to come, one that was mostly wrong the
     * rest of this ratio. With full_curve all of them are certain, in any order. */
    unsigned right = 0, drawn = 0;
    for (unsigned i = 0; i < outcome.curve_count; i++) {
        right += outcome.curve[i].right;
        drawn += outcome.curve[i].drawn;
    }
    return (2 * right >= drawn && open_ahead(tenths, draw, count, &outcome, &frontier, sample, rule->need)) ||
           open_ahead(tenths, draw, count, &outcome, &frontier, sample, rule->draws);
}
