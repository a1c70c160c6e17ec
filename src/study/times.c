/* times.json: seconds, which are of a machine and no result. Kept apart, so that results stay equal byte for byte. */
#include "base/memory.h"
#include "study/run.h"

static double seconds_of(const struct strata_study_run *run, size_t stage) {
    return stage == STRATA_NO_STAGE ? 0 : strata_stage_seconds(run, stage);
}

int strata_study_times(json_t **out, const struct strata_study_run *run, struct strata_error *err) {
    const struct strata_plan *plan = &run->plan;
    json_t *kinds = json_object(), *fields = json_array();
    for (int k = 0; k < STRATA_STAGE_KINDS; k++) {
        double seconds = 0;
        for (size_t i = 0; i < plan->count; i++)
            if ((int)plan->stages[i].kind == k && strata_stage_done(run, i)) seconds += seconds_of(run, i);
        json_object_set_new(kinds, strata_stage_names[k], json_real(seconds));
    }
    for (size_t i = 0; i < plan->cell_count; i++) {
        const struct strata_study_cell *cell = &plan->cells[i];
        if (!strata_stage_done(run, cell->eval)) continue;
        json_array_append_new(
            fields, json_pack("{s:s, s:s, s:i, s:I, s:f, s:f, s:f}", "metric", strata_metric_names[cell->metric],
                              "family", run->recipe->families[cell->family].name, "row", cell->row, "seed",
                              (json_int_t)run->recipe->seeds[cell->seed], "sft", seconds_of(run, cell->sft), "grpo",
                              seconds_of(run, cell->grpo), "eval", seconds_of(run, cell->eval)));
    }
    *out = json_pack("{s:o, s:o}", "seconds", kinds, "fields", fields);
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}
