/* conformance_training DIR [--isa LEVEL] [--threads N]
 *
 * Training against torch and transformers, for every model directory of DIR (a golden set): conversations to tokens and
 * labels, their loss; the four AdamW updates of sft.json (loss, gradient norm, learning rate, final weights); every
 * case of grpo.json from our own log-probs on: advantages, loss, KL, clip shares, d loss / d logp, gradient norm. fp32;
 * tolerances are those the golden README suggests. Gradients tensor by tensor are conformance_gradients'. */
#include "golden_training.h"

#include "train/advantage.h"
#include "train/data.h"
#include "train/example.h"
#include "train/optimizer.h"
#include "train/policy_loss.h"
#include "train/schedule.h"

#define LOSS    1e-5 /* absolute */
#define NORM    2e-5 /* relative */
#define WEIGHTS 1e-4 /* relative L2 of a tensor; elements and sums by its norm */
#define DLOGP   1e-5 /* absolute: derivatives are of order 1/tokens, and log-probs agree to about 1e-5 */
#define MOST    32   /* conversations, completions */

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void close_to(const struct bench *bench, const char *what, double got, double want, double tolerance) {
    tally_case(bench->tally, fabs(got - want) <= tolerance, "%s: %.9g instead of %.9g", what, got, want);
}

/* Features of decoded images, one behind the other; owned by the caller. */
static int features_of(float **out, const struct bench *bench, const struct strata_image *images, size_t count,
                       struct strata_error *err) {
    struct strata_features features;
    struct strata_grid grids[GOLDEN_MOST];
    struct strata_train_images set = {
        .images = (struct strata_image *)(uintptr_t)images, .grids = grids, .count = count};
    int code = 0;
    for (size_t i = 0; !code && i < count; i++)
        code = strata_image_grid(&grids[i], &bench->model->processor, images[i].height, images[i].width, err);
    if (!code)
        code = strata_features_create(&features, bench->model, &bench->model->weights, &bench->compute, 1, 0, err);
    if (code) return code;
    code = strata_features_get(out, &features, 0, &set, err);
    strata_features_free(&features);
    return code;
}

/* ---- supervised ---- */

struct conversation {
    struct strata_example example;
    float *embeds, *logps, *dlogps;
    bool *scored;
    int32_t *positions;
    struct strata_tape_response response;
    struct strata_tape_group group;
};

static void compare_example(const struct bench *bench, const struct strata_example *example, const json_t *entry) {
    const json_t *ids = json_object_get(entry, "input_ids"), *labels = json_object_get(entry, "labels");
    bool same = example->T == json_array_size(ids), same_labels = same;
    for (size_t t = 0; same && t < example->T; t++) {
        same = example->ids[t] == json_integer_value(json_array_get(ids, t));
        same_labels &= example->labels[t] == json_integer_value(json_array_get(labels, t));
    }
    tally_case(bench->tally, same, "input_ids differ");
    tally_case(bench->tally, same_labels, "labels differ");
    tally_case(bench->tally,
               (json_int_t)example->targets == json_integer_value(json_object_get(entry, "target_tokens")),
               "%zu target tokens", example->targets);
}

static int conversation_load(struct conversation *conversation, const struct bench *bench, const json_t *entry,
                             struct strata_error *err) {
    struct golden_prompt prompt = {0};
    struct strata_grid grids[GOLDEN_MOST];
    struct strata_example *example = &conversation->example;
    float *later = NULL; /* features of images behind the first label */
    int code = golden_prompt_load(&prompt, entry, bench->images, err);
    for (size_t i = 0; !code && i < prompt.image_count; i++)
        code = strata_image_grid(&grids[i], &bench->model->processor, prompt.images[i].height, prompt.images[i].width,
                                 err);
    if (!code)
        code = strata_example_build(example, bench->model, prompt.messages, prompt.message_count, grids,
                                    prompt.image_count, err);
    if (!code) code = features_of(&conversation->embeds, bench, prompt.images, prompt.image_count, err);
    golden_prompt_free(&prompt);
    if (code) return code;
    compare_example(bench, example, entry);
    size_t first = 0, T = example->T, before = 0;
    while (first < T && example->labels[first] == STRATA_IGNORED) first++;
    if (first == T) return strata_fail(err, STRATA_ERR_INPUT, "a conversation without labels");
    for (size_t t = 0; t < first; t++) before += example->ids[t] == bench->model->config.special.image;
    if (conversation->embeds) later = conversation->embeds + before * bench->model->config.text.hidden;
    conversation->positions = malloc(3 * T * sizeof(int32_t));
    conversation->scored = calloc(T, sizeof(bool));
    conversation->logps = calloc(T, sizeof(float));
    conversation->dlogps = calloc(T, sizeof(float));
    for (size_t axis = 0; axis < 3; axis++) {
        const int32_t *from = example->positions + axis * T;
        memcpy(conversation->positions + axis * first, from, first * sizeof *from);
        memcpy(conversation->positions + 3 * first + axis * (T - first), from + first, (T - first) * sizeof *from);
    }
    for (size_t t = first; t < T; t++) conversation->scored[t - first] = example->labels[t] != STRATA_IGNORED;
    conversation->response = (struct strata_tape_response){.part = {.ids = example->ids + first,
                                                                    .T = T - first,
                                                                    .positions = conversation->positions + 3 * first,
                                                                    .embeds = later},
                                                           .scored = conversation->scored,
                                                           .logps = conversation->logps,
                                                           .dlogps = conversation->dlogps};
    conversation->group = (struct strata_tape_group){.prompt = {.ids = example->ids,
                                                                .T = first,
                                                                .positions = conversation->positions,
                                                                .embeds = conversation->embeds},
                                                     .responses = &conversation->response,
                                                     .count = 1};
    return 0;
}

static void conversation_free(struct conversation *conversation) {
    strata_example_free(&conversation->example);
    free(conversation->embeds);
    free(conversation->positions);
    free(conversation->scored);
    free(conversation->logps);
    free(conversation->dlogps);
}

/* One tensor of the final weights, read back out of the packed form. */
static float *weight_values(const struct strata_weight_row *row) {
    float *values = malloc(strata_weight_row_count(row) * sizeof *values);
    if (row->vector) memcpy(values, row->vector, strata_weight_row_count(row) * sizeof *values);
    for (size_t n = 0; row->matrix && n < row->shape[0]; n++)
        strata_matrix_get_row(values + n * row->matrix->K, row->matrix, row->first_row + n);
    return values;
}

/* golden: the whole tensor, or the sketch [norm, sum, e_0 ..]. */
static void compare_final(const struct bench *bench, const char *name, const struct strata_tensor *golden,
                          const json_t *sums, bool sketches) {
    const struct strata_weight_row *row = find_row(bench, name);
    tally_case(bench->tally, row != NULL, "%s: no such tensor", name);
    if (!row) return;
    size_t count = strata_weight_row_count(row);
    float *values = weight_values(row);
    double squares = 0.0, sum = 0.0, norm = number(sums, "l2");
    for (size_t i = 0; i < count; i++) {
        squares += (double)values[i] * (double)values[i];
        sum += (double)values[i];
    }
    tally_case(bench->tally, fabs(sqrt(squares) - norm) <= WEIGHTS * norm, "%s: norm %.9g instead of %.9g", name,
               sqrt(squares), norm);
    tally_case(bench->tally, fabs(sum - number(sums, "sum")) <= WEIGHTS * norm * sqrt((double)count),
               "%s: sum %.9g instead of %.9g", name, sum, number(sums, "sum"));
    size_t sketch = count < 32 ? count : 32;
    if (golden && golden->count == count && !sketches) {
        compare_relative(bench->tally, name, values, golden->data, count, WEIGHTS);
    } else if (golden && golden->count == sketch + 2 && sketches) {
        const float *stored = golden->data;
        double worst = 0.0;
        for (size_t i = 0; i < sketch; i++)
            worst = fmax(worst, fabs((double)values[i * count / sketch] - (double)stored[2 + i]));
        tally_case(bench->tally, worst <= WEIGHTS * norm, "%s: an element is off by %.3g", name, worst);
    } else {
        tally_case(bench->tally, false, "%s: the golden file has it in no known form", name);
    }
    free(values);
}

static size_t make_parameters(struct strata_parameter *parameters, const struct bench *bench,
                              const struct strata_gradients *gradients, const json_t *adamw) {
    size_t used = 0, decayed = 0;
    for (size_t i = 0; i < bench->row_count; i++) {
        const struct strata_weight_row *row = &bench->table[i];
        if (!gradients->rows[i]) continue;
        decayed += row->decay;
        parameters[used++] = (struct strata_parameter){.name = row->name,
                                                       .rows = row->matrix ? row->shape[0] : 1,
                                                       .K = row->matrix ? row->matrix->K : row->shape[0],
                                                       .decay = row->decay,
                                                       .matrix = row->matrix,
                                                       .first_row = row->first_row,
                                                       .vector = row->vector,
                                                       .gradient = gradients->rows[i]};
    }
    const json_t *names = json_object_get(adamw, "decayed"), *name;
    size_t index;
    tally_case(bench->tally, decayed == json_array_size(names), "%zu tensors decay, not %zu", decayed,
               json_array_size(names));
    json_array_foreach(names, index, name) {
        const struct strata_weight_row *row = find_row(bench, json_string_value(name));
        tally_case(bench->tally, row && row->decay, "%s does not decay", json_string_value(name));
    }
    return used;
}

static double set_weights_and_sum(struct conversation *conversations, size_t count, bool sum) {
    double targets = 0.0, loss = 0.0;
    for (size_t i = 0; i < count; i++) targets += (double)conversations[i].example.targets;
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < conversations[i].response.part.T; t++) {
            if (!conversations[i].scored[t]) continue;
            conversations[i].dlogps[t] = (float)(-1.0 / targets);
            if (sum) loss -= (double)conversations[i].logps[t] / targets;
        }
    }
    return loss;
}

static int run_updates(const struct bench *bench, struct conversation *conversations, size_t count, const json_t *adamw,
                       struct strata_tape *tape, struct strata_gradients *gradients, struct strata_optimizer *optimizer,
                       struct strata_error *err) {
    struct strata_tape_group groups[MOST];
    struct strata_schedule schedule = {.kind = STRATA_SCHEDULE_COSINE,
                                       .rate = number(adamw, "lr0"),
                                       .warmup = (size_t)number(adamw, "warmup_steps"),
                                       .total = (size_t)number(adamw, "total_steps")};
    const json_t *steps = json_object_get(adamw, "steps");
    for (size_t i = 0; i < count; i++) groups[i] = conversations[i].group;
    for (size_t s = 0; s < json_array_size(steps); s++) {
        const json_t *step = json_array_get(steps, s);
        double norm, rate = strata_learning_rate(&schedule, s);
        int code = strata_tape_forward(tape, groups, count, 1.0f, err);
        double loss = set_weights_and_sum(conversations, count, !code);
        if (!code) code = strata_tape_backward(tape, gradients, groups, count, err);
        if (!code) code = strata_gradients_norm(&norm, gradients, bench->compute.threads, err);
        if (code) return code;
        close_to(bench, "adamw loss", loss, number(step, "loss"), LOSS);
        close_to(bench, "adamw gradient norm", norm, number(step, "grad_norm_before_clip"),
                 NORM * number(step, "grad_norm_before_clip"));
        close_to(bench, "learning rate", rate, number(step, "lr"), 1e-12);
        code = strata_optimizer_step(optimizer, norm, rate, bench->compute.threads, err);
        if (code) return code;
        strata_gradients_zero(gradients);
    }
    return 0;
}

static void check_final(const struct bench *bench, const json_t *adamw) {
    struct strata_safetensors *file = NULL;
    struct strata_error err;
    char *path = strata_path_join(bench->directory, "sft_adamw_final.safetensors");
    const char *name;
    const json_t *sums;
    bool sketches = true; /* all are vectors then */
    if (strata_safetensors_open(&file, path, &err)) tally_error(bench->tally, &err);
    free(path);
    for (size_t i = 0; file && i < strata_safetensors_count(file); i++)
        sketches = sketches && strata_safetensors_at(file, i)->rank == 1;
    json_object_foreach(json_object_get(adamw, "final"), name, sums) {
        if (file) compare_final(bench, name, strata_safetensors_find(file, name), sums, sketches);
    }
    strata_safetensors_close(file);
}

/* Changes the model's weights: comes last. */
static void check_adamw(const struct bench *bench, struct conversation *conversations, size_t count,
                        const json_t *adamw) {
    static const bool trained[3] = {true, false, false};
    const json_t *betas = json_object_get(adamw, "betas");
    struct strata_adamw options = {.beta1 = json_number_value(json_array_get(betas, 0)),
                                   .beta2 = json_number_value(json_array_get(betas, 1)),
                                   .epsilon = number(adamw, "eps"),
                                   .weight_decay = number(adamw, "weight_decay"),
                                   .max_grad_norm = number(adamw, "max_grad_norm")};
    struct strata_tape_group groups[MOST];
    struct strata_gradients gradients = {0};
    struct strata_optimizer optimizer = {0};
    struct strata_error err;
    struct strata_parameter *parameters = calloc(bench->row_count, sizeof *parameters);
    for (size_t i = 0; i < count; i++) groups[i] = conversations[i].group;
    struct strata_tape *tape = make_tape(bench, groups, count);
    int code = strata_gradients_create(&gradients, &bench->model->config, trained, &err);
    if (!code) {
        size_t used = make_parameters(parameters, bench, &gradients, adamw);
        code = strata_optimizer_create(&optimizer, parameters, used, &options, &err);
    }
    if (!code && tape) code = run_updates(bench, conversations, count, adamw, tape, &gradients, &optimizer, &err);
    if (code)
        tally_error(bench->tally, &err);
    else
        check_final(bench, adamw);
    strata_optimizer_free(&optimizer);
    strata_gradients_free(&gradients);
    strata_tape_destroy(tape);
    free(parameters);
}

static void check_sft(const struct bench *bench) {
    struct conversation conversations[MOST] = {0};
    struct strata_error err;
    json_t *root = load_json(bench, "sft.json");
    const json_t *entry;
    size_t index, count = 0;
    int code = 0;
    json_array_foreach(json_object_get(root, "conversations"), index, entry) {
        char name[24];
        snprintf(name, sizeof name, "%zu", index);
        set_scope(bench, "sft conversation", name);
        if (!code && count < MOST) code = conversation_load(&conversations[count++], bench, entry, &err);
    }
    if (code) tally_error(bench->tally, &err);
    set_scope(bench, "sft", "adamw");
    if (!code && count) check_adamw(bench, conversations, count, json_object_get(root, "adamw"));
    for (size_t i = 0; i < count; i++) conversation_free(&conversations[i]);
    json_decref(root);
}

/* ---- GRPO ---- */

struct group {
    struct golden_prompt golden;
    struct strata_prompt prompt;
    float *embeds;
    int32_t *ids[MOST];
    size_t G, W, begin[MOST + 1];
    float *logps, *dlogps, *reference, *old, advantages[MOST];
    struct strata_tape_response responses[MOST];
    struct strata_tape_group tape;
    struct strata_safetensors *file;
    const json_t *root;
};

static void group_free(struct group *group) {
    golden_prompt_free(&group->golden);
    strata_prompt_free(&group->prompt);
    for (size_t i = 0; i < group->G; i++) free(group->ids[i]);
    free(group->embeds);
    free(group->logps);
    free(group->dlogps);
    free(group->reference);
    free(group->old);
    strata_safetensors_close(group->file);
}

static int load_group_prompt(struct group *group, const struct bench *bench, struct strata_error *err) {
    json_t *prompts = load_json(bench, "prompts.json");
    const json_t *entry;
    const char *name = json_string_value(json_object_get(group->root, "prompt"));
    struct strata_grid grids[GOLDEN_MOST];
    size_t index;
    int code = strata_fail(err, STRATA_ERR_INPUT, "prompts.json has no %s", name);
    json_array_foreach(prompts, index, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "name")), name) != 0) continue;
        code = golden_prompt_load(&group->golden, entry, bench->images, err);
        group->golden.name = NULL; /* it goes with the JSON */
        break;
    }
    for (size_t i = 0; !code && i < group->golden.image_count; i++)
        code = strata_image_grid(&grids[i], &bench->model->processor, group->golden.images[i].height,
                                 group->golden.images[i].width, err);
    if (!code)
        code = strata_prompt_build(&group->prompt, bench->model->tokenizer, &bench->model->config.special,
                                   group->golden.messages, group->golden.message_count, grids,
                                   group->golden.image_count, (unsigned)bench->model->config.vision.merge_size, 0, err);
    if (!code) code = features_of(&group->embeds, bench, group->golden.images, group->golden.image_count, err);
    json_decref(prompts);
    return code;
}

static int group_load(struct group *group, const struct bench *bench, struct strata_error *err) {
    char *path = strata_path_join(bench->directory, "grpo.safetensors");
    int code = strata_safetensors_open(&group->file, path, err);
    const json_t *completion;
    size_t index;
    free(path);
    if (!code) code = load_group_prompt(group, bench, err);
    if (code) return code;
    const struct strata_tensor *mask = strata_safetensors_find(group->file, "mask");
    if (!mask || mask->rank != 2) return strata_fail(err, STRATA_ERR_INPUT, "grpo.safetensors has no mask (G, W)");
    group->W = mask->shape[1];
    json_array_foreach(json_object_get(group->root, "completions"), index, completion) {
        size_t N = json_array_size(completion);
        if (index >= MOST || N > group->W)
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "more than %d completions, or one beyond the mask", MOST);
        group->ids[index] = malloc((N + 1) * sizeof(int32_t));
        for (size_t t = 0; t < N; t++)
            group->ids[index][t] = (int32_t)json_integer_value(json_array_get(completion, t));
        group->begin[index + 1] = group->begin[index] + N;
        group->G = index + 1;
    }
    size_t tokens = group->begin[group->G];
    group->logps = calloc(tokens, sizeof(float));
    group->dlogps = calloc(tokens, sizeof(float));
    group->reference = calloc(tokens, sizeof(float));
    group->old = calloc(tokens, sizeof(float));
    for (size_t i = 0; i < group->G; i++)
        group->responses[i] =
            (struct strata_tape_response){.part = {.ids = group->ids[i], .T = group->begin[i + 1] - group->begin[i]},
                                          .logps = group->logps + group->begin[i],
                                          .dlogps = group->dlogps + group->begin[i]};
    group->tape = (struct strata_tape_group){.prompt = {.ids = group->prompt.ids,
                                                        .T = group->prompt.T,
                                                        .positions = group->prompt.positions,
                                                        .embeds = group->embeds},
                                             .rope_delta = group->prompt.rope_delta,
                                             .responses = group->responses,
                                             .count = group->G};
    return 0;
}

/* Row-padded golden values as ragged tokens. */
static bool ragged(float *out, const struct bench *bench, const struct group *group, const char *name) {
    const float *values = golden_floats(bench->tally, group->file, name, group->G * group->W);
    tally_case(bench->tally, values != NULL, "the golden file has no %s", name);
    for (size_t i = 0; values && i < group->G; i++)
        memcpy(out + group->begin[i], values + i * group->W, (group->begin[i + 1] - group->begin[i]) * sizeof *out);
    return values != NULL;
}

/* The checkpoint with some tensors replaced. */
static struct strata_model *open_reference(const struct bench *bench) {
    const struct strata_model_options options = {.weights = STRATA_WEIGHT_F32, .max_pixels = SIZE_MAX};
    struct strata_model *model = NULL;
    struct strata_safetensors *file = NULL;
    struct strata_error err;
    char *path = strata_path_join(bench->directory, "grpo_ref_override.safetensors");
    struct bench reference = *bench;
    reference.table = NULL;
    int code = strata_model_open(&model, bench->directory, &options, &err);
    if (!code) code = strata_safetensors_open(&file, path, &err);
    if (!code)
        code = strata_weights_table(&reference.table, &reference.row_count, &model->config, &model->weights, &err);
    for (size_t i = 0; !code && i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        const struct strata_weight_row *row = find_row(&reference, tensor->name);
        tally_case(bench->tally, row && strata_weight_row_count(row) == tensor->count, "no place for %s", tensor->name);
        if (!row) continue;
        if (row->matrix)
            strata_matrix_set_rows(row->matrix, row->first_row, row->shape[0], tensor->data);
        else
            memcpy(row->vector, tensor->data, tensor->count * sizeof(float));
    }
    if (code) {
        tally_error(bench->tally, &err);
        strata_model_close(model);
        model = NULL;
    }
    strata_safetensors_close(file);
    free(reference.table);
    free(path);
    return model;
}

static void compare_case(const struct bench *bench, const struct group *group, const json_t *entry,
                         const struct strata_policy_sums *sums) {
    size_t tokens = group->begin[group->G];
    double loss = 0.0, kl = 0.0, low = 0.0, high = 0.0;
    float *want = calloc(tokens, sizeof *want);
    char key[128];
    for (size_t i = 0; i < group->G; i++) {
        loss += sums[i].loss;
        kl += sums[i].kl;
        low += sums[i].clipped_low;
        high += sums[i].clipped_high;
    }
    close_to(bench, "loss", loss, number(entry, "loss"), LOSS);
    /* beta 0: there is no reference model, so no divergence from it either */
    if (number(entry, "beta") > 0.0) close_to(bench, "mean kl", kl / (double)tokens, number(entry, "mean_kl"), LOSS);
    close_to(bench, "share clipped below", low / (double)tokens, number(entry, "clip_low"), 1e-6);
    close_to(bench, "share clipped above", high / (double)tokens, number(entry, "clip_high"), 1e-6);
    snprintf(key, sizeof key, "dlogp.%.100s", json_string_value(json_object_get(entry, "name")));
    if (ragged(want, bench, group, key)) compare_absolute(bench->tally, key, group->dlogps, want, tokens, DLOGP);
    free(want);
}

static void check_case(const struct bench *bench, struct group *group, const json_t *entry, struct strata_tape *tape,
                       const struct strata_model *reference) {
    static const bool trained[3] = {true, false, false};
    const float temperature = (float)number(entry, "temperature");
    size_t tokens = group->begin[group->G];
    struct strata_policy_options options = {.beta = number(entry, "beta"),
                                            .epsilon_low = number(group->root, "epsilon_low"),
                                            .epsilon_high = number(group->root, "epsilon_high"),
                                            .max_completion_length =
                                                (size_t)number(group->root, "max_completion_length")};
    struct strata_policy_totals totals = {
        .completions = group->G, .tokens = tokens, .rollout_tokens = (size_t)number(group->root, "dapo_tokens")};
    struct strata_policy_sums sums[MOST];
    struct strata_gradients gradients = {0};
    struct strata_error err;
    double norm;
    char key[64];
    bool on_policy = json_is_true(json_object_get(entry, "on_policy"));
    golden_temperature_key(key, sizeof key, "old_logp", entry);
    if (!on_policy && !ragged(group->old, bench, group, key)) return;
    struct strata_policy_batch batch = {.completions = group->G,
                                        .begin = group->begin,
                                        .logp = group->logps,
                                        .old = on_policy ? NULL : group->old,
                                        .ref = group->reference,
                                        .advantages = group->advantages};
    int code = strata_loss_type_parse(&options.type, json_string_value(json_object_get(entry, "loss_type")), &err);
    if (!code) code = strata_gradients_create(&gradients, &bench->model->config, trained, &err);
    strata_tape_weights(tape, &reference->weights);
    if (!code) code = strata_tape_forward(tape, &group->tape, 1, temperature, &err);
    memcpy(group->reference, group->logps, tokens * sizeof *group->logps);
    strata_tape_weights(tape, &bench->model->weights);
    if (!code) code = strata_tape_forward(tape, &group->tape, 1, temperature, &err);
    if (!code) code = strata_policy_loss(group->dlogps, sums, &batch, &totals, &options, &err);
    if (!code) code = strata_tape_backward(tape, &gradients, &group->tape, 1, &err);
    if (!code) code = strata_gradients_norm(&norm, &gradients, bench->compute.threads, &err);
    if (code) {
        tally_error(bench->tally, &err);
    } else {
        compare_case(bench, group, entry, sums);
        close_to(bench, "gradient norm", norm, number(entry, "grad_norm"), NORM * number(entry, "grad_norm"));
    }
    strata_gradients_free(&gradients);
}

static void check_advantages(const struct bench *bench, struct group *group) {
    float rewards[MOST];
    struct strata_advantage_options options = {0};
    struct strata_advantage_stats stats;
    struct strata_error err;
    const json_t *given = json_object_get(group->root, "rewards"), *want = json_object_get(group->root, "advantages");
    for (size_t i = 0; i < group->G; i++) rewards[i] = (float)json_number_value(json_array_get(given, i));
    if (strata_advantages(group->advantages, NULL, &stats, rewards, 1, group->G, &options, &err))
        tally_error(bench->tally, &err);
    for (size_t i = 0; i < group->G; i++)
        close_to(bench, "advantage", (double)group->advantages[i], json_number_value(json_array_get(want, i)), 1e-6);
}

static void check_grpo(const struct bench *bench) {
    json_t *root = load_json(bench, "grpo.json");
    struct group group = {.root = root};
    struct strata_error err;
    const json_t *entry;
    size_t index;
    set_scope(bench, "grpo", "");
    if (root && group_load(&group, bench, &err)) {
        tally_error(bench->tally, &err);
    } else if (root) {
        struct strata_model *reference = open_reference(bench);
        struct strata_tape *tape = make_tape(bench, &group.tape, 1);
        check_advantages(bench, &group);
        json_array_foreach(json_object_get(root, "cases"), index, entry) {
            set_scope(bench, "grpo", json_string_value(json_object_get(entry, "name")));
            if (tape && reference) check_case(bench, &group, entry, tape, reference);
        }
        strata_tape_destroy(tape);
        strata_model_close(reference);
    }
    group_free(&group);
    json_decref(root);
}

static void check(struct bench *bench) {
    check_grpo(bench);
    check_sft(bench);
}

int main(int count, char **arguments) {
    struct bench bench = {.tape = {.level = STRATA_TAPE_ALL}};
    if (count < 2) {
        fprintf(stderr, "usage: %s MODELS_DIR [--isa LEVEL] [--threads N]\n", arguments[0]);
        return 2;
    }
    return check_models(&bench, count, arguments, check);
}
