/* Selection: which samples of a run, under which cut. Writing their records is in select_write.c. */
#include "study/select.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "difficulty/evaluate.h"
#include "study/select_write.h"

void strata_select_options_default(struct strata_select_options *options) {
    *options = (struct strata_select_options){.metric = STRATA_METRIC_PISM, .pass_low = 0, .pass_high = 1};
}

int strata_select_cut(struct strata_cut *cut, unsigned *metrics, const char *run, struct strata_error *err) {
    struct strata_store *store;
    int code = strata_store_read(&store, run, err);
    if (code) return code;
    code = strata_run_cut(cut, metrics, store, run, err);
    strata_store_close(store, NULL);
    return code;
}

/* Places in the data set, ascending unless shuffled. */
struct places {
    uint64_t *items;
    size_t count, capacity;
};

static int add_place(struct places *places, size_t index, struct strata_error *err) {
    int code = strata_grow(&places->items, &places->capacity, places->count + 1, sizeof *places->items, err);
    if (!code) places->items[places->count++] = index;
    return code;
}

/* Names of abilities, and of each chosen place which it has: what caps need. */
struct abilities {
    char **names; /* owned */
    size_t count, capacity;
    uint32_t *chosen; /* (places chosen) */
    size_t chosen_count, chosen_capacity;
};

struct choosing {
    const struct strata_select_options *options;
    const struct strata_cut *cut;
    unsigned metrics;
    struct strata_store *store;
    struct strata_select_summary *summary;
    struct strata_evaluation evaluation;
    struct places candidates, chosen; /* all that the ability filter lets through; those selected */
    struct abilities abilities;
};

/* Is `ability` one of the comma-separated list? */
static bool is_listed(const char *list, const char *ability) {
    size_t length = strlen(ability);
    for (const char *word = list;; word += strcspn(word, ",") + 1) {
        size_t size = strcspn(word, ",");
        if (size == length && memcmp(word, ability, size) == 0) return true;
        if (!word[size]) return false;
    }
}

static enum strata_stratum stratum_of(const struct choosing *choosing) {
    const struct strata_evaluation *evaluation = &choosing->evaluation;
    if (choosing->options->metric == STRATA_METRIC_CMAB) return evaluation->cmab;
    return choosing->options->by_chance ? evaluation->chance : evaluation->pism;
}

/* Within the band of pass rates? Only rows with all their draws have one. */
static bool passes(struct choosing *choosing, size_t images) {
    const struct strata_select_options *options = choosing->options;
    const struct strata_evaluation *evaluation = &choosing->evaluation;
    if (!options->pass_rate) return true;
    if (images == 0 || !evaluation->plain_complete) {
        choosing->summary->incomplete++;
        return false;
    }
    double rate = (double)evaluation->plain_right / (double)evaluation->plain_drawn;
    return rate >= options->pass_low && rate <= options->pass_high;
}

/* Do the two measures say what is asked? Only the four strata can agree or disagree. */
static bool agrees(const struct choosing *choosing, enum strata_stratum stratum) {
    const struct strata_evaluation *evaluation = &choosing->evaluation;
    enum strata_stratum other = choosing->options->metric == STRATA_METRIC_CMAB ? evaluation->pism : evaluation->cmab;
    if (choosing->options->agreement == STRATA_AGREEMENT_ANY) return true;
    if (stratum > STRATA_STRATUM_EASY || other > STRATA_STRATUM_EASY) return false;
    return (stratum == other) == (choosing->options->agreement == STRATA_AGREEMENT_SAME);
}

static int note_ability(struct abilities *abilities, const char *name, struct strata_error *err) {
    size_t index = 0;
    int code = 0;
    while (index < abilities->count && strcmp(abilities->names[index], name) != 0) index++;
    if (index == abilities->count) {
        code = strata_grow(&abilities->names, &abilities->capacity, index + 1, sizeof *abilities->names, err);
        if (code) return code;
        if (!(abilities->names[index] = strata_strdup(name)))
            return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        abilities->count++;
    }
    code = strata_grow(&abilities->chosen, &abilities->chosen_capacity, abilities->chosen_count + 1,
                       sizeof *abilities->chosen, err);
    if (!code) abilities->chosen[abilities->chosen_count++] = (uint32_t)index;
    return code;
}

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct choosing *choosing = context;
    const struct strata_select_options *options = choosing->options;
    if (options->ability && !is_listed(options->ability, sample->ability)) return 0;
    int code = strata_evaluate(&choosing->evaluation, choosing->store, sample, choosing->cut, choosing->metrics, err);
    if (code) return code;
    enum strata_stratum stratum = stratum_of(choosing);
    choosing->summary->samples++;
    choosing->summary->strata[stratum]++;
    choosing->summary->pending += stratum == STRATA_STRATUM_PENDING;
    code = add_place(&choosing->candidates, sample->index, err);
    bool chosen = (!options->strata || options->strata >> stratum & 1) && agrees(choosing, stratum) &&
                  passes(choosing, sample->images);
    if (code || !chosen) return code;
    code = add_place(&choosing->chosen, sample->index, err);
    return code || !options->cap ? code : note_ability(&choosing->abilities, sample->ability, err);
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Keeps at most `cap` of each ability, each ability's drawn for itself: another ability's samples change nothing. */
static int apply_cap(struct choosing *choosing, struct strata_error *err) {
    const struct abilities *abilities = &choosing->abilities;
    struct places *chosen = &choosing->chosen;
    uint64_t *own, *kept;
    size_t count = 0;
    int code = strata_alloc(&own, chosen->count, sizeof *own, err);
    if (code) return code;
    if ((code = strata_alloc(&kept, chosen->count, sizeof *kept, err))) {
        free(own);
        return code;
    }
    for (size_t a = 0; a < abilities->count; a++) {
        struct strata_random random =
            strata_random_make(choosing->options->seed, abilities->names[a], STRATA_PURPOSE_SELECT, 1, 0);
        size_t n = 0;
        for (size_t i = 0; i < chosen->count; i++)
            if (abilities->chosen[i] == a) own[n++] = chosen->items[i];
        if (n > choosing->options->cap) {
            strata_random_shuffle(&random, own, n);
            n = choosing->options->cap;
        }
        memcpy(kept + count, own, n * sizeof *own);
        count += n;
    }
    qsort(kept, count, sizeof *kept, ascending);
    memcpy(chosen->items, kept, count * sizeof *kept);
    chosen->count = count;
    free(kept);
    free(own);
    return 0;
}

/* Replaces the selection by as many candidates drawn without replacement. */
static void draw_random(struct choosing *choosing) {
    struct strata_random random = strata_random_make(choosing->options->seed, "", STRATA_PURPOSE_SELECT, 0, 0);
    struct places *candidates = &choosing->candidates;
    size_t count = choosing->chosen.count;
    strata_random_shuffle(&random, candidates->items, candidates->count);
    if (count) memcpy(choosing->chosen.items, candidates->items, count * sizeof *candidates->items);
    if (count) qsort(choosing->chosen.items, count, sizeof *candidates->items, ascending);
}

static int check_options(const struct strata_select_options *options, unsigned metrics, struct strata_error *err) {
    if (!(metrics & options->metric))
        return strata_fail(err, STRATA_ERR_USAGE, "the run has no %s scores",
                           options->metric == STRATA_METRIC_CMAB ? "CMAB" : "PISM");
    if (options->pass_rate && !(metrics & STRATA_METRIC_PISM))
        return strata_fail(err, STRATA_ERR_USAGE, "pass rates come from PISM's ratio 0, which the run has not drawn");
    if (options->pass_rate && !(options->pass_low <= options->pass_high))
        return strata_fail(err, STRATA_ERR_USAGE, "the band of pass rates is empty");
    if (options->agreement != STRATA_AGREEMENT_ANY && metrics != (STRATA_METRIC_PISM | STRATA_METRIC_CMAB))
        return strata_fail(err, STRATA_ERR_USAGE, "the run has one measure only: there is nothing to agree with");
    if (options->responses && !(metrics & STRATA_METRIC_CMAB))
        return strata_fail(err, STRATA_ERR_USAGE, "responses are those of CMAB, which the run has not measured");
    if (options->by_chance && options->metric != STRATA_METRIC_PISM)
        return strata_fail(err, STRATA_ERR_USAGE, "strata under --chance are PISM's");
    return 0;
}

int strata_select(struct strata_select_summary *summary, const struct strata_select_options *options,
                  struct strata_error *err) {
    struct strata_select_summary local = {0};
    struct strata_cut stored;
    struct choosing choosing = {.options = options, .summary = summary ? summary : &local};
    *choosing.summary = (struct strata_select_summary){0};
    if (!options->run || !options->out) return strata_fail(err, STRATA_ERR_USAGE, "a run and an output are needed");
    int code = strata_store_read(&choosing.store, options->run, err);
    if (code) return code;
    code = strata_run_cut(&stored, &choosing.metrics, choosing.store, options->run, err);
    choosing.cut = options->cut ? options->cut : &stored;
    if (!code) code = check_options(options, choosing.metrics, err);
    if (!code) code = strata_store_samples(choosing.store, SIZE_MAX, on_sample, &choosing, err);
    if (!code) {
        if (options->cap && choosing.chosen.count) code = apply_cap(&choosing, err);
        if (options->random_like) draw_random(&choosing);
        choosing.summary->selected = choosing.chosen.count;
        struct strata_selection selection = {.options = options,
                                             .cut = choosing.cut,
                                             .store = choosing.store,
                                             .metrics = choosing.metrics,
                                             .summary = choosing.summary,
                                             .places = choosing.chosen.items,
                                             .count = choosing.chosen.count};
        if (!code) code = strata_selection_write(&selection, err);
    }
    strata_evaluation_free(&choosing.evaluation);
    for (size_t a = 0; a < choosing.abilities.count; a++) free(choosing.abilities.names[a]);
    free(choosing.abilities.names);
    free(choosing.abilities.chosen);
    free(choosing.candidates.items);
    free(choosing.chosen.items);
    strata_store_close(choosing.store, NULL);
    return code;
}
