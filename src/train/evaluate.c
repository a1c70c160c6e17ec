/* Greedy answers to the held-out set during training. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "train/trainer.h"

struct evaluation {
    struct strata_trainer *trainer;
    struct strata_train_evaluation *out;
    char *marks;
    char *cut; /* (count) 1: the answer was cut off */
    struct strata_verdict verdict;
    size_t ability_capacity;
};

static int submit(struct evaluation *evaluation, size_t index, struct strata_error *err) {
    struct strata_trainer *trainer = evaluation->trainer;
    const struct strata_sample *sample = &trainer->held_out.samples[index];
    struct strata_train_images images;
    int code = strata_train_images_load(&images, sample, &trainer->model->processor, err);
    if (!code) {
        struct strata_request request = {
            .tag = index,
            .sample_id = sample->id,
            .messages = sample->messages,
            .message_count = sample->message_count,
            .images = images.images,
            .image_count = images.count,
            .sampling = {.top_p = 1.0f, .repetition_penalty = 1.0f, .max_new_tokens = trainer->options->eval_tokens},
            .draws = 1};
        code = strata_engine_submit(trainer->engine, &request, err);
    }
    strata_train_images_free(&images);
    if (code != STRATA_ERR_INPUT && code != STRATA_ERR_IO) return code;
    /* A record that cannot be asked counts as failed, not as wrong. */
    char line[1400];
    strata_trainer_message(trainer, "held-out record left out: %s", strata_error_line(err, line, sizeof line));
    return 0;
}

static int ability_of(struct strata_train_ability **out, struct evaluation *evaluation, const char *name,
                      struct strata_error *err) {
    struct strata_train_evaluation *result = evaluation->out;
    char cut[sizeof result->abilities->name];
    snprintf(cut, sizeof cut, "%s", name);
    for (size_t i = 0; i < result->ability_count; i++) {
        *out = &result->abilities[i];
        if (strcmp((*out)->name, cut) == 0) return 0;
    }
    int code = strata_grow(&result->abilities, &evaluation->ability_capacity, result->ability_count + 1,
                           sizeof *result->abilities, err);
    if (code) return code;
    *out = &result->abilities[result->ability_count++];
    **out = (struct strata_train_ability){0};
    memcpy((*out)->name, cut, sizeof cut);
    return 0;
}

static int grade(struct evaluation *evaluation, const struct strata_result *result, struct strata_error *err) {
    const struct strata_train_options *options = evaluation->trainer->options;
    const struct strata_sample *sample = &evaluation->trainer->held_out.samples[result->tag];
    if (result->finish == STRATA_FINISH_ERROR) return 0;
    struct strata_verify_input input = {
        .solution = sample->solution,
        .solution_length = strlen(sample->solution),
        .completion = result->text,
        .completion_length = result->text_length,
        .ability = sample->ability,
        .verifier = *sample->verifier ? sample->verifier : options->verifier,
        .question = sample->message_count ? sample->messages[sample->message_count - 1].text : NULL};
    int code = strata_verify(&evaluation->verdict, &input, options->verify_mode, err);
    if (code) return strata_fail_at_default(err, code, "%s", sample->where);
    evaluation->marks[result->tag] = evaluation->verdict.correct ? 'r' : 'w';
    evaluation->cut[result->tag] = result->finish == STRATA_FINISH_LENGTH;
    return 0;
}

/* Every rank answers the records of its turn; here all get the marks of all. */
static int share_marks(struct evaluation *evaluation, struct strata_error *err) {
    struct strata_ranks *ranks = evaluation->trainer->ranks;
    size_t count = evaluation->trainer->held_out.count, N = strata_ranks_count(ranks);
    struct strata_buffer mine = {0}, all = {0};
    if (!ranks) return 0;
    strata_buffer_append(&mine, evaluation->marks, count);
    strata_buffer_append(&mine, evaluation->cut, count);
    int code = strata_ranks_exchange(ranks, &all, &mine, err);
    for (size_t i = 0; !code && i < count; i++) {
        const char *of = all.data + i % N * 2 * count;
        evaluation->marks[i] = of[i];
        evaluation->cut[i] = of[count + i];
    }
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
    return code;
}

static int count_marks(struct evaluation *evaluation, struct strata_error *err) {
    struct strata_train_evaluation *out = evaluation->out;
    for (size_t i = 0; i < evaluation->trainer->held_out.count; i++) {
        struct strata_train_ability *ability;
        bool right = evaluation->marks[i] == 'r';
        if (evaluation->marks[i] == '-') {
            out->failed++;
            continue;
        }
        int code = ability_of(&ability, evaluation, evaluation->trainer->held_out.samples[i].ability, err);
        if (code) return code;
        out->count++;
        out->right += right;
        out->truncated += evaluation->cut[i] == 1;
        ability->count++;
        ability->right += right;
    }
    return 0;
}

static int by_name(const void *a, const void *b) {
    const struct strata_train_ability *x = a, *y = b;
    return strcmp(x->name, y->name);
}

bool strata_paired_gain(double *gain, double *standard_error, const char *before, const char *after) {
    double sum = 0.0, squares = 0.0, pairs = 0.0;
    for (size_t i = 0; before[i] && after[i]; i++) {
        if (before[i] == '-' || after[i] == '-') continue;
        double difference = (after[i] == 'r') - (before[i] == 'r');
        sum += difference;
        squares += difference * difference;
        pairs += 1.0;
    }
    *gain = *standard_error = 0.0;
    if (pairs < 2.0) return false;
    *gain = sum / pairs;
    *standard_error = __builtin_sqrt((squares - sum * sum / pairs) / (pairs - 1.0) / pairs);
    return true;
}

int strata_evaluate_held_out(struct strata_train_evaluation *out, char **marks, struct strata_trainer *trainer,
                             struct strata_error *err) {
    struct evaluation evaluation = {.trainer = trainer, .out = out};
    double start = strata_seconds();
    size_t next = 0, count = trainer->held_out.count;
    size_t N = strata_ranks_count(trainer->ranks), own = strata_ranks_index(trainer->ranks);
    bool got = true;
    int code = strata_alloc(marks, count + 1, 1, err);
    evaluation.marks = *marks;
    if (!code) memset(evaluation.marks, '-', count);
    if (!code) code = strata_alloc(&evaluation.cut, count, 1, err);
    *out = (struct strata_train_evaluation){.step = trainer->counters.step};
    while (!code && (got || next < count)) {
        while (!code && next < count && strata_engine_has_room(trainer->engine, 1)) {
            if (next % N == own) code = submit(&evaluation, next, err);
            next++;
        }
        struct strata_result result = {0};
        if (!code) code = strata_engine_poll(trainer->engine, &result, &got, err);
        if (!code && got) {
            code = grade(&evaluation, &result, err);
            strata_result_free(&result);
        }
    }
    for (size_t i = 0; code && i < next; i++) strata_engine_cancel(trainer->engine, i);
    if (!code) code = share_marks(&evaluation, err);
    if (!code) code = count_marks(&evaluation, err);
    free(evaluation.cut);
    if (out->ability_count) qsort(out->abilities, out->ability_count, sizeof *out->abilities, by_name);
    strata_verdict_free(&evaluation.verdict);
    out->seconds = strata_seconds() - start;
    return code;
}
