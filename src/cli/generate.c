/* strata generate: answer one prompt, streamed; with --cmab, how attention divides between image and text. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "difficulty/cmab.h"
#include "engine/native.h"
#include "model/image_processor.h"
#include "model/tokenizer.h"

#define ID(name) STRATA_OPTION_ID_##name

struct generation {
    const struct strata_arguments *arguments;
    struct strata_setup_prompt prompt;
    struct strata_result result;
    struct strata_tokenizer *tokenizer; /* to name tokens; NULL without --cmab */
    struct strata_cmab_masses masses;
    struct strata_cmab_rho rho;
    double *rho_t, *rho_lt; /* (N), (L,N) */
};

static void on_text(void *context, const char *text, size_t length) {
    (void)context;
    fwrite(text, 1, length, stdout);
    fflush(stdout);
}

static int ask(struct generation *generation, struct strata_engine *engine, struct strata_error *err) {
    const struct strata_arguments *arguments = generation->arguments;
    bool cmab = strata_flag(arguments, ID(CMAB)), json = strata_flag(arguments, ID(JSON));
    struct strata_request request = {
        .sample_id = "prompt",
        .messages = generation->prompt.messages,
        .message_count = generation->prompt.message_count,
        .images = generation->prompt.images,
        .image_count = generation->prompt.image_count,
        .sampling = {.temperature = (float)strata_real(arguments, ID(TEMPERATURE)),
                     .top_p = (float)strata_real(arguments, ID(TOP_P)),
                     .top_k = (uint32_t)strata_integer(arguments, ID(TOP_K)),
                     .repetition_penalty = (float)strata_real(arguments, ID(REPETITION_PENALTY)),
                     .max_new_tokens = (uint32_t)strata_integer(arguments, ID(MAX_NEW_TOKENS))},
        .seed = (uint64_t)strata_integer(arguments, ID(SEED)),
        .purpose = STRATA_PURPOSE_TOKEN,
        .draws = 1,
        .want_attention = cmab,
        .want_map = cmab && strata_given(arguments, ID(OUT)),
        .want_logprobs = true,
        .on_text = json ? NULL : on_text,
    };
    if (cmab && !(strata_engine_capabilities(engine) & STRATA_CAN_ATTENTION))
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "this engine reports no attention, which --cmab needs");
    bool got = false;
    struct strata_tokens forced = {0};
    char *response = NULL;
    int status = strata_setup_text(&response, arguments, ID(RESPONSE), err);
    if (!status && response) {
        status = strata_chat_response(&forced, strata_native_model(engine)->tokenizer, response, err);
        request.forced_ids = forced.ids;
        request.forced_count = forced.count;
    }
    if (!status) status = strata_engine_submit(engine, &request, err);
    if (!status) status = strata_engine_poll(engine, &generation->result, &got, err);
    if (!status && response && !json) fputs(generation->result.text, stdout);
    strata_tokens_free(&forced);
    free(response);
    if (status) return status;
    if (!got) return strata_fail(err, STRATA_ERR_ENGINE, "the engine gave no answer");
    if (!json) putchar('\n');
    if (generation->result.finish == STRATA_FINISH_ERROR) {
        *err = generation->result.error;
        return err->code ? err->code : strata_fail(err, STRATA_ERR_ENGINE, "the engine failed");
    }
    return 0;
}

static int measure(struct generation *generation, struct strata_error *err) {
    struct strata_cmab_options options;
    const struct strata_attention *attention = generation->result.attention;
    if (!attention) return strata_fail(err, STRATA_ERR_ENGINE, "the engine gave no attention");
    strata_cmab_paper(&options);
    int status = strata_setup_cmab(&options, generation->arguments, err);
    if (!status) status = strata_cmab_fold(&generation->masses, attention, err);
    if (!status) status = strata_alloc(&generation->rho_t, attention->N, sizeof(double), err);
    if (!status) status = strata_alloc(&generation->rho_lt, attention->L * attention->N, sizeof(double), err);
    if (!status)
        status = strata_cmab_rho(&generation->rho, generation->rho_t, generation->rho_lt, &generation->masses, &options,
                                 err);
    return status;
}

/* ---- the tables ---- */

/* The token's bytes, made printable: control characters and broken UTF-8 as \xNN. */
static void token_text(char *out, size_t size, const struct strata_tokenizer *tokenizer, int32_t id) {
    size_t length = 0, at = 0;
    const char *bytes = tokenizer ? strata_tokenizer_bytes(tokenizer, id, &length) : NULL;
    if (!bytes) {
        snprintf(out, size, "%d", id);
        return;
    }
    for (size_t i = 0; i < length && at + 5 < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\n') {
            at += (size_t)snprintf(out + at, size - at, "\\n");
        } else if (byte < 0x20 || byte >= 0x7f) {
            at += (size_t)snprintf(out + at, size - at, "\\x%02x", byte);
        } else {
            out[at++] = (char)byte;
        }
    }
    out[at] = '\0';
}

/* Each token: its rho, and the layers where the balance leans furthest to the text and to the image. */
static void print_tokens(const struct generation *generation) {
    size_t L = generation->masses.L, N = generation->masses.N;
    struct strata_table table = {.columns = 5, .left = 1u << 1};
    static const char *const heading[] = {"#", "token", "balance", "most text (layer)", "most image (layer)"};
    for (size_t i = 0; i < 5; i++) strata_table_cell(&table, "%s", heading[i]);
    for (size_t n = 0; n < N; n++) {
        char text[64] = "";
        size_t low = 0, high = 0;
        for (size_t l = 1; l < L; l++) {
            if (generation->rho_lt[l * N + n] < generation->rho_lt[low * N + n]) low = l;
            if (generation->rho_lt[l * N + n] > generation->rho_lt[high * N + n]) high = l;
        }
        if (generation->result.ids && n < generation->result.N)
            token_text(text, sizeof text, generation->tokenizer, generation->result.ids[n]);
        strata_table_cell(&table, "%zu", n + 1);
        strata_table_cell(&table, "%s", text);
        strata_table_cell(&table, "%.3f", generation->rho_t[n]);
        strata_table_cell(&table, "%.3f (%zu)", generation->rho_lt[low * N + n], low);
        strata_table_cell(&table, "%.3f (%zu)", generation->rho_lt[high * N + n], high);
    }
    strata_table_print(&table, 0, false);
    strata_table_free(&table);
}

/* Each layer: mean attention on the image and on the rest of the prompt, and their ratio. */
static void print_layers(const struct generation *generation) {
    const struct strata_cmab_masses *masses = &generation->masses;
    struct strata_table table = {.columns = 4};
    static const char *const heading[] = {"layer", "on image", "on text", "image / text"};
    for (size_t i = 0; i < 4; i++) strata_table_cell(&table, "%s", heading[i]);
    for (size_t l = 0; l < masses->L; l++) {
        double image = 0, text = 0;
        for (size_t n = 0; n < masses->N; n++) {
            const float *row = masses->masses + (l * masses->N + n) * STRATA_CMAB_CLASSES;
            image += (double)row[STRATA_CMAB_IMAGE];
            for (int c = STRATA_CMAB_IMAGE + 1; c < STRATA_CMAB_CLASSES; c++) text += (double)row[c];
        }
        double tokens = masses->N ? (double)masses->N : 1;
        strata_table_cell(&table, "%zu", l);
        strata_table_cell(&table, "%.1f %%", 100 * image / tokens);
        strata_table_cell(&table, "%.1f %%", 100 * text / tokens);
        strata_table_cell(&table, "%.3f", text > 0 ? image / text : 0);
    }
    putchar('\n');
    strata_table_print(&table, 0, false);
    strata_table_free(&table);
}

static void print_balance(const struct generation *generation) {
    putchar('\n');
    print_tokens(generation);
    print_layers(generation);
    const struct strata_cmab_rho *rho = &generation->rho;
    if (!rho->defined) {
        puts("\nbalance  undefined: no image, or no text of the chosen kind");
        return;
    }
    printf("\nbalance  %.4f", rho->rho);
    for (int over = 0; over < STRATA_CMAB_OVERS; over++)
        printf("%s %s %.4f", over ? "," : "  (", strata_cmab_over_name((enum strata_cmab_over)over), rho->over[over]);
    puts(")");
}

/* ---- the picture ---- */

/* Cells of the image tokens' grid. */
static int map_grid(size_t *rows, size_t *columns, const struct generation *generation, struct strata_error *err) {
    struct strata_image_processor processor = {0};
    struct strata_grid grid = {0};
    const struct strata_image *picture = &generation->prompt.images[0];
    char *path = strata_path_join(strata_text(generation->arguments, ID(MODEL)), "preprocessor_config.json");
    if (!path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int status = strata_image_processor_open(&processor, path, strata_size(generation->arguments, ID(MAX_PIXELS)), err);
    free(path);
    if (!status) status = strata_image_grid(&grid, &processor, picture->height, picture->width, err);
    if (!status && !processor.merge_size) status = strata_fail(err, STRATA_ERR_INPUT, "the merge size is 0");
    *rows = processor.merge_size ? grid.rows / processor.merge_size : 0;
    *columns = processor.merge_size ? grid.columns / processor.merge_size : 0;
    return status;
}

static int write_map(const struct generation *generation, struct strata_error *err) {
    const char *out = strata_text(generation->arguments, ID(OUT));
    const struct strata_attention *attention = generation->result.attention;
    const struct strata_segment *image = NULL;
    size_t rows = 0, columns = 0;
    for (size_t s = 0; s < attention->S && !image; s++)
        if (attention->segments[s].kind == STRATA_SEGMENT_IMAGE) image = &attention->segments[s];
    if (!image || !attention->map || !generation->prompt.image_count)
        return strata_fail(err, STRATA_ERR_USAGE, "--out wants a map over an image, and the prompt has none");
    int status = map_grid(&rows, &columns, generation, err);
    if (status) return status;
    if (rows * columns != image->count || (size_t)image->begin + image->count > attention->T)
        return strata_fail(err, STRATA_ERR_ENGINE, "the engine's map has %u image tokens, not %zu x %zu", image->count,
                           rows, columns);
    struct strata_image drawn = {0};
    struct strata_buffer png = {0};
    status =
        strata_image_heatmap(&drawn, &generation->prompt.images[0], attention->map + image->begin, rows, columns, err);
    if (!status) status = strata_image_encode_png(&png, &drawn, err);
    if (!status) status = strata_buffer_check(&png, err);
    if (!status) status = strata_file_write(out, png.data, png.length, err);
    strata_image_free(&drawn);
    strata_buffer_free(&png);
    if (!status) fprintf(stderr, "map: %s, %zu x %zu cells\n", out, rows, columns);
    return status;
}

/* ---- JSON ---- */

static json_t *balance_json(const struct generation *generation) {
    size_t L = generation->masses.L, N = generation->masses.N;
    json_t *rho_t = json_array(), *layers = json_array(), *over = json_object();
    for (size_t n = 0; n < N; n++) json_array_append_new(rho_t, json_real(generation->rho_t[n]));
    for (size_t l = 0; l < L; l++) {
        json_t *row = json_array();
        for (size_t n = 0; n < N; n++) json_array_append_new(row, json_real(generation->rho_lt[l * N + n]));
        json_array_append_new(layers, row);
    }
    for (int o = 0; o < STRATA_CMAB_OVERS && generation->rho.defined; o++)
        json_object_set_new(over, strata_cmab_over_name((enum strata_cmab_over)o), json_real(generation->rho.over[o]));
    return json_pack("{s:o, s:o, s:o, s:o}", "rho",
                     generation->rho.defined ? json_real(generation->rho.rho) : json_null(), "over", over, "rho_t",
                     rho_t, "rho_layers", layers);
}

static int print_result_json(const struct generation *generation, struct strata_error *err) {
    const struct strata_result *result = &generation->result;
    json_t *ids = json_array(), *logprobs = json_array();
    for (size_t n = 0; n < result->N && result->ids; n++) json_array_append_new(ids, json_integer(result->ids[n]));
    for (size_t n = 0; n < result->N && result->logprobs; n++)
        json_array_append_new(logprobs, json_real((double)result->logprobs[n]));
    json_t *object = json_pack(
        "{s:o, s:s, s:I, s:I, s:o, s:o, s:f}", "text", json_stringn(result->text, result->text_length), "finish",
        result->finish == STRATA_FINISH_LENGTH ? "length" : "stop", "prompt_tokens", (json_int_t)result->prompt_tokens,
        "tokens", (json_int_t)result->N, "ids", ids, "logprobs", logprobs, "seconds", result->seconds);
    if (object && generation->rho_t) json_object_set_new(object, "cmab", balance_json(generation));
    return strata_print_json(object, err);
}

static void print_footer(const struct strata_result *result) {
    char text[32];
    fprintf(stderr, "%zu prompt tokens, %zu generated in %s (%s tokens/s)%s\n", result->prompt_tokens, result->N,
            strata_duration_text(text, result->seconds),
            strata_count_text((char[32]){0}, result->seconds > 0 ? (double)result->N / result->seconds : 0),
            result->finish == STRATA_FINISH_LENGTH ? ", cut off by --max-new-tokens" : "");
}

int strata_cli_generate(const struct strata_arguments *arguments, struct strata_error *err) {
    struct generation generation = {.arguments = arguments};
    struct strata_engine *engine = NULL;
    bool cmab = strata_flag(arguments, ID(CMAB));
    if (strata_given(arguments, ID(OUT)) && !cmab)
        return strata_fail(err, STRATA_ERR_USAGE, "--out is the heat map of --cmab, which is not asked for");
    int status = strata_setup_prompt(&generation.prompt, arguments, arguments->operands[0], err);
    if (!status) status = strata_setup_engine(&engine, arguments, err);
    if (!status) status = ask(&generation, engine, err);
    if (!status && cmab) {
        char *path = strata_path_join(strata_text(arguments, ID(MODEL)), "tokenizer.json");
        status = path ? strata_tokenizer_open(&generation.tokenizer, path, err)
                      : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        free(path);
        if (!status) status = measure(&generation, err);
        if (!status && strata_given(arguments, ID(OUT))) status = write_map(&generation, err);
    }
    if (!status && strata_flag(arguments, ID(JSON))) {
        status = print_result_json(&generation, err);
    } else if (!status) {
        if (cmab) print_balance(&generation);
        if (!strata_flag(arguments, ID(QUIET))) print_footer(&generation.result);
    }
    strata_tokenizer_close(generation.tokenizer);
    strata_cmab_masses_free(&generation.masses);
    free(generation.rho_t);
    free(generation.rho_lt);
    strata_result_free(&generation.result);
    strata_setup_prompt_free(&generation.prompt);
    strata_engine_destroy(engine);
    return status;
}
