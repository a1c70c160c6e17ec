#include "report/gather.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/elementary.h"
#include "base/memory.h"

/* The row of an ability; once there are too many, that of the others. */
static struct strata_report_row *find_row(struct strata_report_numbers *numbers, const char *ability) {
    const char *name = *ability ? ability : "(none)";
    for (size_t i = 0; i < numbers->row_count; i++)
        if (strcmp(numbers->rows[i].name, name) == 0) return &numbers->rows[i];
    if (numbers->row_count == STRATA_REPORT_ABILITIES) return &numbers->rows[STRATA_REPORT_ABILITIES - 1];
    if (numbers->row_count == STRATA_REPORT_ABILITIES - 1) name = "(others)";
    struct strata_report_row *row = &numbers->rows[numbers->row_count];
    row->name = strata_strdup(name);
    if (!row->name) return NULL;
    numbers->row_count++;
    return row;
}

static void count_curve(struct strata_report_row *row, const struct strata_evaluation *evaluation,
                        const struct strata_cut *cut) {
    const struct strata_pism_outcome *outcome = &evaluation->outcome;
    row->finished++;
    for (unsigned i = 0; i < outcome->curve_count; i++) {
        const struct strata_curve_entry *entry = &outcome->curve[i];
        row->passed[entry->tenths] += outcome->lambda_star < 0 || (int)entry->tenths < outcome->lambda_star;
        if (!cut->pism.full_curve || entry->drawn != cut->pism.draws) continue;
        double rate = (double)entry->right / (double)entry->drawn;
        row->rated[entry->tenths]++;
        row->rate[entry->tenths] += rate;
        row->rate_square[entry->tenths] += rate * rate;
    }
}

static void count_sample(struct strata_report_row *row, const struct strata_evaluation *evaluation,
                         const struct strata_report_numbers *numbers) {
    row->samples++;
    row->pism[evaluation->pism]++;
    row->cmab[evaluation->cmab]++;
    row->plain_right += evaluation->plain_right;
    row->plain_drawn += evaluation->plain_drawn;
    row->cmab_answered += evaluation->attempts > 0;
    row->cmab_right += evaluation->correct;
    if (evaluation->pism < STRATA_REPORT_MEASURED) count_curve(row, evaluation, &numbers->cut);
}

static size_t rho_bin(double rho) {
    double place = strata_log(rho / STRATA_REPORT_RHO_LOW) * (10 / 2.302585092994046);
    if (!(place > 0)) return 0;
    return place < STRATA_REPORT_RHO_BINS - 1 ? (size_t)place : STRATA_REPORT_RHO_BINS - 1;
}

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct strata_report_numbers *numbers = context;
    struct strata_evaluation *evaluation = &numbers->evaluation;
    int code = strata_evaluate(evaluation, numbers->store, sample, &numbers->cut, numbers->metrics, err);
    if (!code)
        code = strata_grow(&numbers->places, &numbers->place_capacity, numbers->place_count + 1,
                           sizeof *numbers->places, err);
    if (code) return code;
    numbers->places[numbers->place_count++] = sample->index;
    struct strata_report_row *row = find_row(numbers, sample->ability);
    if (!row) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    count_sample(row, evaluation, numbers);
    count_sample(&numbers->total, evaluation, numbers);
    numbers->draws += evaluation->outcome.draws;
    numbers->draws_saved += evaluation->outcome.finished ? evaluation->outcome.draws_saved : 0;
    numbers->truncated += evaluation->truncated;
    if (evaluation->rho.defined && evaluation->attempts > 0) {
        (evaluation->correct ? numbers->rho_right : numbers->rho_wrong)[rho_bin(evaluation->rho.rho)]++;
        numbers->rho_count++;
    }
    if (evaluation->pism < STRATA_REPORT_MEASURED && evaluation->cmab < STRATA_REPORT_MEASURED)
        numbers->confusion[evaluation->pism * STRATA_REPORT_MEASURED + evaluation->cmab]++;
    return 0;
}

static int by_samples(const void *a, const void *b) {
    const struct strata_report_row *x = a, *y = b;
    if (x->samples != y->samples) return x->samples < y->samples ? 1 : -1;
    return strcmp(x->name, y->name);
}

int strata_report_gather(struct strata_report_numbers *out, const char *run, struct strata_error *err) {
    *out = (struct strata_report_numbers){0};
    int code = strata_store_read(&out->store, run, err);
    if (!code) code = strata_run_cut(&out->cut, &out->metrics, out->store, run, err);
    if (!code) code = strata_store_samples(out->store, SIZE_MAX, on_sample, out, err);
    if (!code) qsort(out->rows, out->row_count, sizeof *out->rows, by_samples);
    return code;
}

void strata_report_release(struct strata_report_numbers *numbers) {
    for (size_t i = 0; i < numbers->row_count; i++) free(numbers->rows[i].name);
    free(numbers->places);
    strata_evaluation_free(&numbers->evaluation);
    strata_store_close(numbers->store, NULL);
}
