#include "train/schedule.h"

#include <string.h>

#include "base/elementary.h"

#define PI 3.14159265358979323846

int strata_schedule_parse(enum strata_schedule_kind *out, const char *name, struct strata_error *err) {
    static const char *const names[] = {"cosine", "linear", "constant"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (enum strata_schedule_kind)i;
        return 0;
    }
    return strata_fail(err, STRATA_ERR_USAGE, "unknown schedule \"%s\": cosine, linear or constant", name);
}

size_t strata_warmup_updates(double ratio, size_t total) {
    double exact = ratio * (double)total;
    size_t whole = (size_t)exact;
    return (double)whole < exact ? whole + 1 : whole;
}

double strata_learning_rate(const struct strata_schedule *schedule, size_t updates) {
    size_t W = schedule->warmup, T = schedule->total;
    if (updates < W) return schedule->rate * (double)updates / (double)W;
    if (schedule->kind == STRATA_SCHEDULE_CONSTANT) return schedule->rate;
    if (updates >= T) return 0.0;
    double progress = (double)(updates - W) / (double)(T > W ? T - W : 1);
    if (schedule->kind == STRATA_SCHEDULE_LINEAR) return schedule->rate * (1.0 - progress);
    double sine, cosine;
    strata_sincos(&sine, &cosine, PI * progress);
    return schedule->rate * 0.5 * (1.0 + cosine);
}
