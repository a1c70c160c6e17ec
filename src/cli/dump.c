/* strata dump: every stage of one prompt's forward pass as safetensors, named as in the reference files:
 * input_ids (T), position_ids (3,T), rope_delta (1), vision.patch_embed, vision.block.I, vision_embeds,
 * hidden (layers+1, T, hidden size), normed (T, hidden size), logits_last (V), with --logits all also logits (T,V). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "engine/native.h"
#include "model/safetensors.h"
#include "model/trace.h"

#define ID(name) STRATA_OPTION_ID_##name

struct stage {
    char name[64];
    size_t rows, columns; /* rows seen so far */
    size_t capacity;      /* floats */
    float *values;        /* owned */
};
struct collection {
    struct stage *stages;
    size_t count, capacity;
    bool all_logits;
    int status;
    struct strata_error *err;
};

static struct stage *find_stage(struct collection *collection, const char *name, size_t columns) {
    for (size_t i = 0; i < collection->count; i++)
        if (strcmp(collection->stages[i].name, name) == 0) return &collection->stages[i];
    collection->status = strata_grow(&collection->stages, &collection->capacity, collection->count + 1,
                                     sizeof *collection->stages, collection->err);
    if (collection->status) return NULL;
    struct stage *stage = &collection->stages[collection->count++];
    *stage = (struct stage){.columns = columns};
    snprintf(stage->name, sizeof stage->name, "%s", name);
    return stage;
}

/* Pieces of a stage arrive in order: chunks of the prompt, or one image after the other. Of the logits only the last
 * row is kept unless all are wanted. */
static void on_stage(void *context, const char *name, const float *values, size_t first_row, size_t rows,
                     size_t columns) {
    struct collection *collection = context;
    (void)first_row;
    if (collection->status || !rows) return;
    bool last_only = strcmp(name, "logits") == 0 && !collection->all_logits;
    struct stage *stage = find_stage(collection, last_only ? "logits_last" : name, columns);
    if (!stage) return;
    if (last_only) {
        values += (rows - 1) * columns;
        rows = 1;
        stage->rows = 0;
    }
    size_t end, need;
    if (stage->columns != columns || !strata_add_ok(&end, stage->rows, rows) || !strata_mul_ok(&need, end, columns)) {
        collection->status = strata_fail(collection->err, STRATA_ERR_ENGINE, "stage %s changed its shape", name);
        return;
    }
    collection->status = strata_grow(&stage->values, &stage->capacity, need, sizeof *stage->values, collection->err);
    if (collection->status) return;
    memcpy(stage->values + stage->rows * columns, values, rows * columns * sizeof *values);
    stage->rows = end;
}

/* hidden.0, hidden.1, …: how many there are in a row. */
static size_t hidden_count(const struct collection *collection) {
    for (size_t layer = 0;; layer++) {
        char name[64];
        size_t i = 0;
        snprintf(name, sizeof name, "hidden.%zu", layer);
        while (i < collection->count && strcmp(collection->stages[i].name, name) != 0) i++;
        if (i == collection->count) return layer;
    }
}

static bool is_hidden(const struct stage *stage) {
    return strncmp(stage->name, "hidden.", strlen("hidden.")) == 0;
}

static int declare(struct strata_safetensors_writer *writer, const struct collection *collection,
                   const struct strata_prompt *prompt, size_t layers, struct strata_error *err) {
    size_t T = prompt->T;
    int status = strata_safetensors_declare(writer, "input_ids", STRATA_DTYPE_I32, (size_t[]){T}, 1, err);
    if (!status)
        status = strata_safetensors_declare(writer, "position_ids", STRATA_DTYPE_I32, (size_t[]){3, T}, 2, err);
    if (!status) status = strata_safetensors_declare(writer, "rope_delta", STRATA_DTYPE_I32, (size_t[]){1}, 1, err);
    bool hidden = false;
    for (size_t i = 0; i < collection->count && !status; i++) {
        const struct stage *stage = &collection->stages[i];
        size_t shape[3] = {stage->rows, stage->columns};
        if (is_hidden(stage)) {
            if (hidden) continue;
            hidden = true;
            shape[0] = layers;
            shape[1] = stage->rows;
            shape[2] = stage->columns;
            status = strata_safetensors_declare(writer, "hidden", STRATA_DTYPE_F32, shape, 3, err);
        } else if (strcmp(stage->name, "logits_last") == 0) {
            status = strata_safetensors_declare(writer, stage->name, STRATA_DTYPE_F32, &shape[1], 1, err);
        } else {
            status = strata_safetensors_declare(writer, stage->name, STRATA_DTYPE_F32, shape, 2, err);
        }
    }
    return status;
}

static int write_values(struct strata_safetensors_writer *writer, const struct collection *collection,
                        const struct strata_prompt *prompt, size_t layers, struct strata_error *err) {
    size_t T = prompt->T;
    int status = strata_safetensors_write(writer, prompt->ids, T * sizeof *prompt->ids, err);
    if (!status) status = strata_safetensors_write(writer, prompt->positions, 3 * T * sizeof *prompt->positions, err);
    if (!status) status = strata_safetensors_write(writer, &prompt->rope_delta, sizeof prompt->rope_delta, err);
    bool hidden = false;
    for (size_t i = 0; i < collection->count && !status; i++) {
        const struct stage *stage = &collection->stages[i];
        if (!is_hidden(stage)) {
            status = strata_safetensors_write(writer, stage->values, stage->rows * stage->columns * sizeof(float), err);
            continue;
        }
        if (hidden) continue;
        hidden = true;
        /* A prefill in chunks hands the layers over in turns, so that they need not lie in order. */
        for (size_t layer = 0; layer < layers && !status; layer++) {
            char name[64];
            size_t j = 0;
            snprintf(name, sizeof name, "hidden.%zu", layer);
            while (strcmp(collection->stages[j].name, name) != 0) j++;
            const struct stage *member = &collection->stages[j];
            status =
                strata_safetensors_write(writer, member->values, member->rows * member->columns * sizeof(float), err);
        }
    }
    return status;
}

/* The layers' outputs go into one tensor, so they must agree in shape. */
static int check_hidden(const struct collection *collection, size_t layers, struct strata_error *err) {
    const struct stage *first = NULL;
    size_t found = 0;
    for (size_t i = 0; i < collection->count; i++) {
        const struct stage *stage = &collection->stages[i];
        if (!is_hidden(stage)) continue;
        if (!first) first = stage;
        found++;
        if (stage->rows != first->rows || stage->columns != first->columns)
            return strata_fail(err, STRATA_ERR_ENGINE, "stages %s and %s differ in shape", first->name, stage->name);
    }
    return found == layers ? 0 : strata_fail(err, STRATA_ERR_ENGINE, "the layers' outputs are not complete");
}

static int write_dump(const char *path, const struct collection *collection, const struct strata_prompt *prompt,
                      struct strata_error *err) {
    struct strata_safetensors_writer *writer;
    size_t layers = hidden_count(collection);
    int status = check_hidden(collection, layers, err);
    if (!status) status = strata_safetensors_create(&writer, path, err);
    if (status) return status;
    status = declare(writer, collection, prompt, layers, err);
    if (!status) status = write_values(writer, collection, prompt, layers, err);
    if (!status) return strata_safetensors_commit(writer, err);
    strata_safetensors_abort(writer);
    return status;
}

static int report(const char *path, const struct collection *collection, const struct strata_prompt *prompt, bool json,
                  struct strata_error *err) {
    json_t *stages = json_array();
    struct strata_table table = {.columns = 3};
    static const char *const heading[] = {"stage", "rows", "columns"};
    for (size_t i = 0; i < 3; i++) strata_table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < collection->count; i++) {
        const struct stage *stage = &collection->stages[i];
        strata_table_cell(&table, "%s", stage->name);
        strata_table_cell(&table, "%zu", stage->rows);
        strata_table_cell(&table, "%zu", stage->columns);
        json_array_append_new(stages, json_pack("{s:s, s:I, s:I}", "name", stage->name, "rows", (json_int_t)stage->rows,
                                                "columns", (json_int_t)stage->columns));
    }
    int status = 0;
    if (json) {
        status = strata_print_json(
            json_pack("{s:s, s:I, s:O}", "out", path, "tokens", (json_int_t)prompt->T, "stages", stages), err);
    } else {
        strata_table_print(&table, 0, false);
        printf("\n%zu tokens, %zu images -> %s\n", prompt->T, prompt->image_count, path);
    }
    json_decref(stages);
    strata_table_free(&table);
    return status;
}

int strata_cli_dump(const struct strata_arguments *arguments, struct strata_error *err) {
    const char *out = strata_text(arguments, ID(OUT));
    struct strata_setup_prompt prompt;
    struct strata_prompt tokens = {0};
    struct strata_engine *engine = NULL;
    struct collection collection = {.all_logits = strata_choice(arguments, ID(LOGITS)) == 1, .err = err};
    struct strata_trace trace = {.stage = on_stage, .context = &collection};
    int status = strata_setup_prompt(&prompt, arguments, arguments->operands[0], err);
    if (!status) status = strata_setup_engine(&engine, arguments, err);
    if (!status) {
        struct strata_request request = {.sample_id = "prompt",
                                         .messages = prompt.messages,
                                         .message_count = prompt.message_count,
                                         .images = prompt.images,
                                         .image_count = prompt.image_count,
                                         .sampling = {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = 1},
                                         .draws = 1};
        status = strata_native_trace(engine, &request, &trace, &tokens, err);
    }
    if (!status) status = collection.status;
    if (!status) status = write_dump(out, &collection, &tokens, err);
    if (!status) status = report(out, &collection, &tokens, strata_flag(arguments, ID(JSON)), err);
    for (size_t i = 0; i < collection.count; i++) free(collection.stages[i].values);
    free(collection.stages);
    strata_prompt_free(&tokens);
    strata_setup_prompt_free(&prompt);
    strata_engine_destroy(engine);
    return status;
}
