/* conformance_gradients DIR [--isa LEVEL] [--threads N] [--level all|layers]
 *
 * Log-probabilities and gradients against transformers, for every model directory of DIR (a golden set): the supervised
 * cases of sft.json, the group of grpo.json with its prefix shared and not. fp32 throughout; tolerances are those the
 * golden README suggests. The policy losses themselves and the optimiser are conformance_training's. */
#include "golden_training.h"

#include "model/vision_tape.h"

#define LOGPROB  5e-4
#define LOSS     1e-5
#define GRADIENT 1e-4 /* relative L2 of a tensor; a sketch's elements by the tensor's norm */
#define NORM     2e-5

/* One sequence of tokens with its images. */
struct tokens {
    int32_t *ids, *positions, rope_delta;
    size_t T, image_count, image_tokens;
    struct strata_grid grids[GOLDEN_MOST];
    float *patches[GOLDEN_MOST], *embeds, *dembeds;
};

static void tokens_free(struct tokens *tokens) {
    free(tokens->ids);
    free(tokens->positions);
    for (size_t i = 0; i < tokens->image_count; i++) free(tokens->patches[i]);
    free(tokens->embeds);
    free(tokens->dembeds);
    *tokens = (struct tokens){0};
}

static int load_image(struct tokens *tokens, const struct bench *bench, const char *name, struct strata_error *err) {
    char *path = strata_path_join(bench->images, name);
    struct strata_image image;
    const size_t i = tokens->image_count;
    int code = strata_image_load(&image, path, err);
    free(path);
    if (code) return code;
    code = strata_image_patches(&tokens->patches[i], &tokens->grids[i], &bench->model->processor, &image, err);
    strata_image_free(&image);
    tokens->image_count += !code;
    return code;
}

static int tokens_load(struct tokens *tokens, const struct bench *bench, const json_t *ids, const json_t *images,
                       struct strata_error *err) {
    const struct strata_model_config *config = &bench->model->config;
    const size_t C = config->text.hidden, merge = config->vision.merge_size;
    size_t index;
    const json_t *item;
    *tokens = (struct tokens){.T = json_array_size(ids)};
    if (json_array_size(images) > GOLDEN_MOST)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "more than %d images", GOLDEN_MOST);
    tokens->ids = calloc(tokens->T + 1, sizeof *tokens->ids);
    tokens->positions = calloc(3 * tokens->T + 1, sizeof *tokens->positions);
    json_array_foreach(ids, index, item) {
        tokens->ids[index] = (int32_t)json_integer_value(item);
    }
    json_array_foreach(images, index, item) {
        int code = load_image(tokens, bench, json_string_value(item), err);
        if (code) return code;
        tokens->image_tokens += tokens->grids[index].rows * tokens->grids[index].columns / (merge * merge);
    }
    tokens->embeds = calloc(tokens->image_tokens * C + 1, sizeof *tokens->embeds);
    tokens->dembeds = calloc(tokens->image_tokens * C + 1, sizeof *tokens->dembeds);
    for (size_t i = 0, done = 0; i < tokens->image_count; i++) {
        int code = strata_vision_forward(tokens->embeds + done * C, tokens->patches[i], tokens->grids[i], config,
                                         &bench->model->weights, &bench->compute, NULL, err);
        if (code) return code;
        done += tokens->grids[i].rows * tokens->grids[i].columns / (merge * merge);
    }
    return strata_rope_positions(tokens->positions, &tokens->rope_delta, tokens->ids, tokens->T, config->special.image,
                                 config->special.vision_start, tokens->grids, tokens->image_count, (unsigned)merge,
                                 err);
}

/* ---- comparing gradients ---- */

static const float *find_gradient(const struct bench *bench, const struct strata_gradients *gradients, const char *name,
                                  size_t *count) {
    const struct strata_weight_row *row = find_row(bench, name);
    if (!row) return NULL;
    *count = strata_weight_row_count(row);
    return gradients->rows[row - bench->table];
}

/* [norm, sum, e_0 .. e_k-1]; stored holds at most `stored_count` of the elements, the rest is padding. */
static void compare_sketch(struct tally *tally, const char *name, const float *gradient, size_t count,
                           const float *stored, size_t most) {
    const size_t k = count < most ? count : most;
    double squares = 0.0, sum = 0.0, worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        squares += (double)gradient[i] * (double)gradient[i];
        sum += (double)gradient[i];
    }
    const double norm = (double)stored[0], slack = GRADIENT * norm;
    for (size_t i = 0; i < k; i++) worst = fmax(worst, fabs((double)gradient[i * count / k] - (double)stored[2 + i]));
    tally_case(tally, fabs(sqrt(squares) - norm) <= slack, "%s: norm %.9g instead of %.9g", name, sqrt(squares), norm);
    /* |sum of differences| <= sqrt(count) |differences| */
    tally_case(tally, fabs(sum - (double)stored[1]) <= slack * sqrt((double)count), "%s: sum %.9g instead of %.9g",
               name, sum, (double)stored[1]);
    tally_case(tally, worst <= slack, "%s: an element is off by %.3g of the norm", name, worst / norm);
}

static void compare_gradients(const struct bench *bench, const struct strata_gradients *gradients, const char *path,
                              bool full) {
    struct strata_safetensors *golden;
    struct strata_error err;
    size_t wanted = 0;
    if (strata_safetensors_open(&golden, path, &err)) {
        tally_error(bench->tally, &err);
        return;
    }
    for (size_t i = 0; i < gradients->row_count; i++) wanted += gradients->rows[i] != NULL;
    tally_case(bench->tally, wanted == strata_safetensors_count(golden), "%zu gradients instead of %zu", wanted,
               strata_safetensors_count(golden));
    for (size_t i = 0; i < strata_safetensors_count(golden); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(golden, i);
        size_t count = 0;
        const float *gradient = find_gradient(bench, gradients, tensor->name, &count);
        const bool fits = gradient && (full ? tensor->count == count : tensor->count >= 2);
        tally_case(bench->tally, fits, "%s: no gradient of this name and size", tensor->name);
        if (!fits) continue;
        if (full)
            compare_relative(bench->tally, tensor->name, gradient, tensor->data, count, GRADIENT);
        else
            compare_sketch(bench->tally, tensor->name, gradient, count, tensor->data, tensor->count - 2);
    }
    strata_safetensors_close(golden);
}

static void compare_norm(const struct bench *bench, const struct strata_gradients *gradients, double want) {
    struct strata_error err;
    double norm;
    if (strata_gradients_norm(&norm, gradients, bench->compute.threads, &err)) {
        tally_error(bench->tally, &err);
        return;
    }
    tally_case(bench->tally, fabs(norm - want) <= NORM * want, "gradient norm %.9g instead of %.9g", norm, want);
}

/* ---- supervised ---- */

#define CONVERSATIONS 16
struct sft {
    struct tokens tokens[CONVERSATIONS];
    struct strata_tape_group groups[CONVERSATIONS];
    struct strata_tape_response responses[CONVERSATIONS];
    bool *scored[CONVERSATIONS];
    int32_t *parts[CONVERSATIONS]; /* positions of prompt and response */
    float *logps[CONVERSATIONS], *dlogps[CONVERSATIONS];
    size_t targets[CONVERSATIONS], count;
};

static void sft_free(struct sft *sft) {
    for (size_t i = 0; i < CONVERSATIONS; i++) {
        tokens_free(&sft->tokens[i]);
        free(sft->scored[i]);
        free(sft->parts[i]);
        free(sft->logps[i]);
        free(sft->dlogps[i]);
    }
}

/* The prompt is what stands before the first label. */
static int add_conversation(struct sft *sft, const struct bench *bench, const json_t *entry, struct strata_error *err) {
    const size_t i = sft->count;
    struct tokens *tokens = &sft->tokens[i];
    const json_t *labels = json_object_get(entry, "labels");
    size_t first = 0;
    sft->count++;
    int code = tokens_load(tokens, bench, json_object_get(entry, "input_ids"), json_object_get(entry, "images"), err);
    if (code) return code;
    while (first < tokens->T && json_integer_value(json_array_get(labels, first)) < 0) first++;
    const size_t rest = tokens->T - first;
    sft->scored[i] = calloc(rest + 1, sizeof(bool));
    sft->logps[i] = calloc(rest + 1, sizeof(float));
    sft->dlogps[i] = calloc(rest + 1, sizeof(float));
    sft->parts[i] = calloc(3 * tokens->T + 1, sizeof(int32_t));
    int32_t *prompt = sft->parts[i], *response = prompt + 3 * first;
    for (size_t axis = 0; axis < 3; axis++) {
        memcpy(prompt + axis * first, tokens->positions + axis * tokens->T, first * sizeof *prompt);
        memcpy(response + axis * rest, tokens->positions + axis * tokens->T + first, rest * sizeof *prompt);
    }
    size_t images = 0;
    for (size_t t = 0; t < first; t++) images += tokens->ids[t] == bench->model->config.special.image;
    for (size_t t = 0; t < rest; t++) {
        sft->scored[i][t] = json_integer_value(json_array_get(labels, first + t)) >= 0;
        sft->targets[i] += sft->scored[i][t];
    }
    const size_t C = bench->model->config.text.hidden;
    sft->responses[i] = (struct strata_tape_response){
        .part = {tokens->ids + first, rest, response, tokens->embeds + images * C, tokens->dembeds + images * C},
        .scored = sft->scored[i],
        .logps = sft->logps[i],
        .dlogps = sft->dlogps[i]};
    sft->groups[i] = (struct strata_tape_group){.prompt = {tokens->ids, first, prompt, tokens->embeds, tokens->dembeds},
                                                .rope_delta = tokens->rope_delta,
                                                .responses = &sft->responses[i],
                                                .count = 1};
    return 0;
}

static double nll_sum(const struct sft *sft, size_t i) {
    double sum = 0.0;
    for (size_t t = 0; t < sft->responses[i].part.T; t++) sum -= (double)sft->logps[i][t];
    return sum;
}

static void check_losses(const struct bench *bench, const struct sft *sft, const json_t *root) {
    const json_t *losses = json_object_get(root, "losses"), *expected = json_object_get(root, "nll_per_conversation");
    double total = 0.0, sequences = 0.0, microbatches = 0.0;
    size_t targets = 0, index, inner;
    const json_t *batch, *item;
    for (size_t i = 0; i < sft->count; i++) {
        const json_t *want = json_array_get(expected, i);
        size_t used = 0;
        double worst = 0.0;
        for (size_t t = 0; t < sft->responses[i].part.T; t++)
            if (sft->scored[i][t])
                worst = fmax(worst, fabs((double)sft->logps[i][t] + json_number_value(json_array_get(want, used++))));
        tally_case(bench->tally, used == json_array_size(want) && worst <= LOGPROB,
                   "token losses of conversation %zu: %.3g off, %zu of %zu", i, worst, used, json_array_size(want));
        total += nll_sum(sft, i);
        targets += sft->targets[i];
        sequences += nll_sum(sft, i) / (double)sft->targets[i] / (double)sft->count;
    }
    json_array_foreach(json_object_get(root, "microbatches"), index, batch) {
        double sum = 0.0, tokens = 0.0;
        json_array_foreach(batch, inner, item) {
            sum += nll_sum(sft, (size_t)json_integer_value(item));
            tokens += (double)sft->targets[json_integer_value(item)];
        }
        microbatches += sum / tokens / (double)json_array_size(json_object_get(root, "microbatches"));
    }
    const struct {
        const char *name;
        double value;
    } ours[] = {{"global_token_mean", total / (double)targets},
                {"sequence_mean", sequences},
                {"microbatch_mean", microbatches}};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        const double want = json_number_value(json_object_get(losses, ours[i].name));
        tally_case(bench->tally, fabs(ours[i].value - want) <= LOSS, "%s: %.9g instead of %.9g", ours[i].name,
                   ours[i].value, want);
    }
}

/* d loss / d logp of each conversation's tokens: minus one over how many tokens its share is divided by. */
static void set_dlogps(struct sft *sft, const json_t *root, bool microbatch) {
    const json_t *batches = json_object_get(root, "microbatches"), *batch, *item;
    size_t index, inner;
    double divisor[CONVERSATIONS] = {0}, all = 0.0;
    for (size_t i = 0; i < sft->count; i++) all += (double)sft->targets[i];
    json_array_foreach(batches, index, batch) {
        double tokens = 0.0;
        json_array_foreach(batch, inner, item) tokens += (double)sft->targets[json_integer_value(item)];
        json_array_foreach(batch, inner, item) divisor[json_integer_value(item)] =
            microbatch ? tokens * (double)json_array_size(batches) : all;
    }
    for (size_t i = 0; i < sft->count; i++)
        for (size_t t = 0; t < sft->responses[i].part.T; t++)
            sft->dlogps[i][t] = sft->scored[i][t] ? (float)(-1.0 / divisor[i]) : 0.0f;
}

static int vision_backward(const struct bench *bench, struct sft *sft, struct strata_gradients *gradients,
                           struct strata_error *err) {
    const struct strata_model_config *config = &bench->model->config;
    const size_t C = config->text.hidden, merge = config->vision.merge_size;
    for (size_t i = 0; i < sft->count; i++) {
        const struct tokens *tokens = &sft->tokens[i];
        for (size_t n = 0, done = 0; n < tokens->image_count; n++) {
            int code = strata_vision_backward(gradients, tokens->dembeds + done * C, tokens->patches[n],
                                              tokens->grids[n], config, &bench->model->weights, &bench->compute, err);
            if (code) return code;
            done += tokens->grids[n].rows * tokens->grids[n].columns / (merge * merge);
        }
    }
    return 0;
}

static void check_sft_case(const struct bench *bench, struct sft *sft, const json_t *root, const json_t *entry) {
    const bool vision = json_is_true(json_object_get(entry, "vision_trained")), trained[3] = {true, vision, vision};
    const char *name = json_string_value(json_object_get(entry, "name"));
    const bool full = strcmp(json_string_value(json_object_get(entry, "gradients")), "full") == 0;
    struct strata_tape *tape = make_tape(bench, sft->groups, sft->count);
    struct strata_gradients gradients = {0};
    struct strata_error err;
    char path[1024];
    if (!tape) return;
    set_dlogps(sft, root, strcmp(json_string_value(json_object_get(entry, "reduction")), "microbatch_mean") == 0);
    if (strata_gradients_create(&gradients, &bench->model->config, trained, &err) ||
        strata_tape_forward(tape, sft->groups, sft->count, 1.0f, &err) ||
        strata_tape_backward(tape, &gradients, sft->groups, sft->count, &err) ||
        (vision && vision_backward(bench, sft, &gradients, &err))) {
        tally_error(bench->tally, &err);
    } else {
        check_losses(bench, sft, root);
        compare_norm(bench, &gradients, json_number_value(json_object_get(entry, "grad_norm")));
        snprintf(path, sizeof path, "%s/sft_grad_%s.safetensors", bench->directory, name);
        compare_gradients(bench, &gradients, path, full);
    }
    strata_gradients_free(&gradients);
    strata_tape_destroy(tape);
}

static void check_sft(const struct bench *bench) {
    json_t *root = load_json(bench, "sft.json");
    struct sft sft = {0};
    struct strata_error err;
    const json_t *entry;
    size_t index;
    int code = 0;
    json_array_foreach(json_object_get(root, "conversations"), index, entry) {
        if (!code && sft.count < CONVERSATIONS) code = add_conversation(&sft, bench, entry, &err);
    }
    if (code) tally_error(bench->tally, &err);
    json_array_foreach(json_object_get(root, "cases"), index, entry) {
        set_scope(bench, "sft", json_string_value(json_object_get(entry, "name")));
        if (!code) check_sft_case(bench, &sft, root, entry);
    }
    sft_free(&sft);
    json_decref(root);
}

/* ---- a group ---- */

#define COMPLETIONS 64
struct grpo {
    struct tokens prompt;
    struct strata_tape_response responses[COMPLETIONS];
    struct strata_tape_group shared, apart[COMPLETIONS]; /* the same responses with the prompt shared, and not */
    int32_t *ids[COMPLETIONS];
    float *logps, *dlogps, *before; /* (G, width) */
    size_t G, width;
    struct strata_safetensors *golden;
};

static void grpo_free(struct grpo *grpo) {
    tokens_free(&grpo->prompt);
    for (size_t i = 0; i < grpo->G; i++) free(grpo->ids[i]);
    free(grpo->logps);
    free(grpo->dlogps);
    free(grpo->before);
    strata_safetensors_close(grpo->golden);
}

static int load_prompt(struct grpo *grpo, const struct bench *bench, const char *name, struct strata_error *err) {
    char *path = strata_path_join(bench->directory, "prompts.json");
    json_t *root = NULL;
    const json_t *entry;
    size_t index;
    int code = strata_json_load(&root, path, SIZE_MAX, err);
    free(path);
    json_array_foreach(root, index, entry) {
        if (!code && strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
            code = tokens_load(&grpo->prompt, bench, json_object_get(entry, "input_ids"),
                               json_object_get(entry, "images"), err);
    }
    json_decref(root);
    return code;
}

static int grpo_load(struct grpo *grpo, const struct bench *bench, const json_t *root, struct strata_error *err) {
    char *path = strata_path_join(bench->directory, "grpo.safetensors");
    size_t index, inner;
    const json_t *completion, *item;
    int code = strata_safetensors_open(&grpo->golden, path, err);
    free(path);
    if (!code) code = load_prompt(grpo, bench, json_string_value(json_object_get(root, "prompt")), err);
    if (code) return code;
    const struct strata_tensor *mask = strata_safetensors_find(grpo->golden, "mask");
    if (!mask || mask->rank != 2) return strata_fail(err, STRATA_ERR_INPUT, "grpo.safetensors has no mask (G, W)");
    grpo->width = mask->shape[1];
    json_array_foreach(json_object_get(root, "completions"), index, completion) {
        if (json_array_size(completion) > grpo->width)
            return strata_fail(err, STRATA_ERR_INPUT, "completion %zu is wider than the mask", index);
    }
    grpo->G = json_array_size(json_object_get(root, "completions"));
    if (grpo->G > COMPLETIONS) return strata_fail(err, STRATA_ERR_INPUT, "too many completions");
    grpo->logps = calloc(grpo->G * grpo->width + 1, sizeof(float));
    grpo->dlogps = calloc(grpo->G * grpo->width + 1, sizeof(float));
    grpo->before = calloc(grpo->G * grpo->width + 1, sizeof(float));
    const struct tokens *prompt = &grpo->prompt;
    grpo->shared =
        (struct strata_tape_group){.prompt = {prompt->ids, prompt->T, prompt->positions, prompt->embeds, NULL},
                                   .rope_delta = prompt->rope_delta,
                                   .responses = grpo->responses,
                                   .count = grpo->G};
    json_array_foreach(json_object_get(root, "completions"), index, completion) {
        grpo->ids[index] = calloc(grpo->width + 1, sizeof(int32_t));
        json_array_foreach(completion, inner, item) {
            grpo->ids[index][inner] = (int32_t)json_integer_value(item);
        }
        grpo->responses[index] =
            (struct strata_tape_response){.part = {.ids = grpo->ids[index], .T = json_array_size(completion)},
                                          .logps = grpo->logps + index * grpo->width,
                                          .dlogps = grpo->dlogps + index * grpo->width};
        grpo->apart[index] = grpo->shared;
        grpo->apart[index].responses = &grpo->responses[index];
        grpo->apart[index].count = 1;
    }
    return 0;
}

/* The reference model's log-probs: the checkpoint with some tensors replaced for the while. */
static int replace_tensors(const struct bench *bench, struct strata_error *err) {
    char *path = strata_path_join(bench->directory, "grpo_ref_override.safetensors");
    struct strata_safetensors *file;
    int code = strata_safetensors_open(&file, path, err);
    free(path);
    if (code) return code;
    for (size_t i = 0; !code && i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        const struct strata_weight_row *row = find_row(bench, tensor->name);
        if (!row || strata_weight_row_count(row) != tensor->count)
            code = strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' has no place in this model", tensor->name);
        else if (row->matrix)
            strata_matrix_set_rows(row->matrix, row->first_row, row->shape[0], tensor->data);
        else
            memcpy(row->vector, tensor->data, tensor->count * sizeof(float));
    }
    strata_safetensors_close(file);
    return code;
}

static void compare_logps(const struct bench *bench, const struct grpo *grpo, const char *kind, const json_t *entry) {
    char name[64];
    golden_temperature_key(name, sizeof name, kind, entry);
    const float *want = golden_floats(bench->tally, grpo->golden, name, grpo->G * grpo->width);
    tally_case(bench->tally, want != NULL, "no %s", name);
    for (size_t i = 0; want && i < grpo->G; i++)
        compare_absolute(bench->tally, name, grpo->logps + i * grpo->width, want + i * grpo->width,
                         grpo->responses[i].part.T, LOGPROB);
}

static void check_grpo_case(const struct bench *bench, struct grpo *grpo, const json_t *root, const json_t *entry,
                            struct strata_tape *shared, struct strata_tape *apart) {
    const bool trained[3] = {true};
    const float temperature = (float)json_number_value(json_object_get(entry, "temperature"));
    const char *name = json_string_value(json_object_get(entry, "name"));
    const size_t floats = grpo->G * grpo->width;
    struct strata_gradients gradients = {0}, others = {0};
    struct strata_error err;
    char key[128], path[1024];
    snprintf(key, sizeof key, "dlogp.%.100s", name);
    const float *dlogps = golden_floats(bench->tally, grpo->golden, key, floats);
    tally_case(bench->tally, dlogps != NULL, "no %s", key);
    if (!dlogps) return;
    memcpy(grpo->dlogps, dlogps, floats * sizeof *dlogps);
    if (strata_gradients_create(&gradients, &bench->model->config, trained, &err) ||
        strata_gradients_create(&others, &bench->model->config, trained, &err) ||
        strata_tape_forward(apart, grpo->apart, grpo->G, temperature, &err) ||
        strata_tape_backward(apart, &others, grpo->apart, grpo->G, &err)) {
        tally_error(bench->tally, &err);
        goto done;
    }
    memcpy(grpo->before, grpo->logps, floats * sizeof *grpo->logps);
    if (strata_tape_forward(shared, &grpo->shared, 1, temperature, &err) ||
        strata_tape_backward(shared, &gradients, &grpo->shared, 1, &err)) {
        tally_error(bench->tally, &err);
        goto done;
    }
    tally_case(bench->tally, memcmp(grpo->before, grpo->logps, floats * sizeof *grpo->logps) == 0,
               "log-probs with and without sharing the prompt differ");
    compare_relative(bench->tally, "prompt shared or not", gradients.values, others.values, gradients.count, 1e-5);
    compare_logps(bench, grpo, "logp", entry);
    compare_norm(bench, &gradients, json_number_value(json_object_get(entry, "grad_norm")));
    snprintf(key, sizeof key, "sketch.%.100s", name);
    const json_t *rows = json_object_get(root, "sketch_rows");
    const float *sketch = golden_floats(bench->tally, grpo->golden, key, json_array_size(rows) * 10);
    for (size_t i = 0; sketch && i < json_array_size(rows); i++) {
        const char *tensor = json_string_value(json_array_get(rows, i));
        size_t count = 0;
        const float *gradient = find_gradient(bench, &gradients, tensor, &count);
        tally_case(bench->tally, gradient != NULL, "%s: no gradient of this name", tensor);
        if (gradient) compare_sketch(bench->tally, tensor, gradient, count, sketch + 10 * i, 8);
    }
    snprintf(path, sizeof path, "%s/grpo_grad_%s.safetensors", bench->directory, name);
    if (json_is_true(json_object_get(entry, "full_gradients"))) compare_gradients(bench, &gradients, path, true);
done:
    strata_gradients_free(&gradients);
    strata_gradients_free(&others);
}

/* The reference's log-probs depend on nothing else of a case. */
static bool first_of_temperature(const json_t *cases, size_t index) {
    const json_t *temperature = json_object_get(json_array_get(cases, index), "temperature");
    for (size_t i = 0; i < index; i++)
        if (json_equal(json_object_get(json_array_get(cases, i), "temperature"), temperature)) return false;
    return true;
}

static void check_grpo(const struct bench *bench) {
    json_t *root = load_json(bench, "grpo.json");
    struct grpo grpo = {0};
    struct strata_error err;
    const json_t *entry;
    size_t index;
    if (!root) return;
    int code = grpo_load(&grpo, bench, root, &err);
    if (code) tally_error(bench->tally, &err);
    struct strata_tape *shared = code ? NULL : make_tape(bench, &grpo.shared, 1);
    struct strata_tape *apart = code ? NULL : make_tape(bench, grpo.apart, grpo.G);
    json_array_foreach(json_object_get(root, "cases"), index, entry) {
        set_scope(bench, "", json_string_value(json_object_get(entry, "name")));
        if (shared && apart) check_grpo_case(bench, &grpo, root, entry, shared, apart);
    }
    /* Last: the weights stay replaced. */
    set_scope(bench, "", "reference");
    if (shared && replace_tensors(bench, &err)) tally_error(bench->tally, &err);
    const json_t *cases = json_object_get(root, "cases");
    json_array_foreach(cases, index, entry) {
        const double temperature = json_number_value(json_object_get(entry, "temperature"));
        if (!shared || !first_of_temperature(cases, index)) continue;
        if (strata_tape_forward(shared, &grpo.shared, 1, (float)temperature, &err))
            tally_error(bench->tally, &err);
        else
            compare_logps(bench, &grpo, "ref_logp", entry);
    }
    strata_tape_destroy(shared);
    strata_tape_destroy(apart);
    grpo_free(&grpo);
    json_decref(root);
}

static void check(struct bench *bench) {
    check_sft(bench);
    check_grpo(bench);
}

int main(int count, char **arguments) {
    struct bench bench = {.tape = {.level = STRATA_TAPE_LAYERS, .logit_rows = 7}};
    if (count < 2) {
        fprintf(stderr, "usage: %s MODELS_DIR [--isa LEVEL] [--threads N] [--level all|layers]\n", arguments[0]);
        return 2;
    }
    if (strcmp(golden_option(count, arguments, "--level", "layers"), "all") == 0) bench.tape.level = STRATA_TAPE_ALL;
    return check_models(&bench, count, arguments, check);
}
