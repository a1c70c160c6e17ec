#include "report/maps.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/image.h"
#include "engine/native.h"
#include "model/prompt.h"

#define BRIGHTEST 99
#define TOLERANCE 0.02

/* The answer as it was given, scored by the model instead of generated. */
static int ask(struct strata_result *result, struct strata_engine *engine, const struct strata_sample *sample,
               const struct strata_image *images, const struct strata_buffer *response, struct strata_error *err) {
    const struct strata_model *model = strata_native_model(engine);
    struct strata_tokens forced = {0};
    bool got = false;
    int code = strata_chat_response(&forced, model->tokenizer, strata_buffer_string(response), err);
    const struct strata_request request = {.sample_id = sample->id,
                                           .messages = sample->messages,
                                           .message_count = sample->message_count,
                                           .images = images,
                                           .image_count = sample->image_count,
                                           .sampling = {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = 1},
                                           .purpose = STRATA_PURPOSE_CMAB,
                                           .draws = 1,
                                           .forced_ids = forced.ids,
                                           .forced_count = forced.count,
                                           .want_attention = true,
                                           .want_map = true};
    if (!code) code = strata_engine_submit(engine, &request, err);
    if (!code) code = strata_engine_poll(engine, result, &got, err);
    strata_tokens_free(&forced);
    if (!code && !got) return strata_fail(err, STRATA_ERR_ENGINE, "the engine gave no answer");
    if (!code && result->finish == STRATA_FINISH_ERROR) {
        if (err) *err = result->error;
        return STRATA_ERR_ENGINE;
    }
    return code;
}

static int check_balance(const struct strata_attention *attention, double rho,
                         const struct strata_cmab_options *options, struct strata_error *err) {
    struct strata_cmab_masses masses = {0};
    struct strata_cmab_rho found = {0};
    double *rho_t = NULL;
    int code = strata_cmab_fold(&masses, attention, err);
    if (!code) code = strata_alloc(&rho_t, masses.N, sizeof *rho_t, err);
    if (!code) code = strata_cmab_rho(&found, rho_t, NULL, &masses, options, err);
    if (!code && !(found.defined && fabs(found.rho - rho) <= TOLERANCE * fabs(rho)))
        code = strata_fail(err, STRATA_ERR_STATE, "this model's balance is %.4g, the run's %.4g", found.rho, rho);
    free(rho_t);
    strata_cmab_masses_free(&masses);
    return code;
}

static int write_map(json_t **out, const struct strata_attention *attention, const struct strata_model *model,
                     const struct strata_image *image, struct strata_error *err) {
    const struct strata_segment *segment = NULL;
    struct strata_grid grid = {0};
    size_t merge = model->processor.merge_size;
    float most = 0;
    double sum = 0;
    for (size_t s = 0; s < attention->S && !segment; s++)
        if (attention->segments[s].kind == STRATA_SEGMENT_IMAGE) segment = &attention->segments[s];
    int code = strata_image_grid(&grid, &model->processor, image->height, image->width, err);
    if (code) return code;
    if (!segment || !attention->map || !merge || !segment->count ||
        (size_t)segment->begin + segment->count > attention->T ||
        grid.rows / merge * (grid.columns / merge) != segment->count)
        return strata_fail(err, STRATA_ERR_ENGINE, "the engine's map is not of this image");
    const float *values = attention->map + segment->begin;
    for (uint32_t i = 0; i < segment->count; i++) {
        if (values[i] > most) most = values[i];
        sum += (double)values[i];
    }
    if (!(most > 0)) return strata_fail(err, STRATA_ERR_ENGINE, "no attention fell on the image");
    json_t *cells = json_array();
    for (uint32_t i = 0; i < segment->count; i++)
        json_array_append_new(cells, json_integer((json_int_t)lrintf(BRIGHTEST * values[i] / most)));
    double peak = round(10 * (double)most * segment->count / sum) / 10;
    *out = json_pack("{s:I, s:I, s:f, s:o}", "rows", (json_int_t)(grid.rows / merge), "columns",
                     (json_int_t)(grid.columns / merge), "peak", peak, "values", cells);
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

int strata_report_map(json_t **out, struct strata_engine *engine, const struct strata_sample *sample,
                      const struct strata_buffer *response, double rho, const struct strata_cmab_options *options,
                      struct strata_error *err) {
    struct strata_result result = {0};
    struct strata_image *images = NULL;
    size_t count = 0;
    *out = NULL;
    int code = strata_alloc(&images, sample->image_count, sizeof *images, err);
    for (; count < sample->image_count && !code; count++) {
        code = strata_image_source_load(&images[count], &sample->images[count], err);
        if (code) break;
    }
    if (!code) code = ask(&result, engine, sample, images, response, err);
    if (!code && !result.attention) code = strata_fail(err, STRATA_ERR_ENGINE, "the engine gave no attention");
    if (!code) code = check_balance(result.attention, rho, options, err);
    if (!code) code = write_map(out, result.attention, strata_native_model(engine), &images[0], err);
    strata_result_free(&result);
    for (size_t i = 0; i < count; i++) strata_image_free(&images[i]);
    free(images);
    return code == STRATA_ERR_MEMORY || code == STRATA_ERR_INTERRUPTED ? code : 0;
}
