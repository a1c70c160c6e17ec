/* A loaded model behind the public interface: prompts to the native engine, results to replies. */
#include "strata/vlm.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/image.h"
#include "engine/native.h"
#include "library/arguments.h"
#include "library/reply.h"

struct strata_vlm {
    struct strata_engine *engine;
};

/* Sizes in the first version of the interface. */
#define OPTIONS_LEAST sizeof(struct strata_vlm_options)
#define PROMPT_LEAST  sizeof(struct strata_vlm_prompt)

int strata_vlm_open(struct strata_vlm **out, const char *path, const struct strata_vlm_options *options,
                    struct strata_error *err) {
    struct strata_vlm_options own;
    struct strata_native_options native;
    struct strata_vlm *vlm = NULL;
    *out = NULL;
    int code = strata_take(&own, sizeof own, options, OPTIONS_LEAST, "struct strata_vlm_options", err);
    if (!code && !path) code = strata_fail(err, STRATA_ERR_USAGE, "no model directory is given");
    if (!code) code = strata_alloc(&vlm, 1, sizeof *vlm, err);
    if (code) return code;
    strata_native_options_default(&native);
    native.model = path;
    if (own.compute) native.compute = own.compute;
    if (own.weights) native.weights = own.weights;
    if (own.isa) native.isa = own.isa;
    native.threads = own.threads;
    native.batch = own.batch;
    native.memory = own.memory;
    native.max_pixels = own.max_pixels;
    code = strata_engine_native(&vlm->engine, &native, err);
    if (code) {
        free(vlm);
        return code;
    }
    *out = vlm;
    return 0;
}

void strata_vlm_close(struct strata_vlm *vlm) {
    if (!vlm) return;
    strata_engine_destroy(vlm->engine);
    free(vlm);
}

size_t strata_vlm_layers(const struct strata_vlm *vlm) {
    return strata_native_model(vlm->engine)->config.text.layers;
}

size_t strata_vlm_parameters(const struct strata_vlm *vlm) {
    return strata_native_model(vlm->engine)->weights.parameters;
}

const char *strata_vlm_identity(const struct strata_vlm *vlm) {
    return strata_engine_identity(vlm->engine);
}

/* ---- one prompt as the engine takes it ---- */

struct asking {
    struct strata_message *messages;
    size_t message_count;
    struct strata_image *images;
    size_t image_count;
    struct strata_tokens forced;
};

static void asking_free(struct asking *asking) {
    for (size_t i = 0; i < asking->message_count; i++) free(asking->messages[i].text);
    for (size_t i = 0; i < asking->image_count; i++) strata_image_free(&asking->images[i]);
    free(asking->messages);
    free(asking->images);
    strata_tokens_free(&asking->forced);
}

/* Copies the turns; images without any mark get theirs before the first user turn's text. */
static int take_turns(struct asking *asking, const struct strata_vlm_prompt *prompt, struct strata_error *err) {
    size_t marks = 0;
    struct strata_message *first_user = NULL;
    int code = strata_alloc(&asking->messages, prompt->turn_count, sizeof *asking->messages, err);
    for (size_t i = 0; !code && i < prompt->turn_count; i++) {
        const struct strata_vlm_turn *turn = &prompt->turns[i];
        struct strata_message *message = &asking->messages[i];
        if (turn->role < STRATA_TURN_SYSTEM || turn->role > STRATA_TURN_ASSISTANT || !turn->text)
            return strata_fail(err, STRATA_ERR_USAGE, "turn %zu has no text or no known role", i + 1);
        *message = (struct strata_message){(enum strata_role)turn->role, strata_strdup(turn->text)};
        if (!message->text) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        asking->message_count++;
        marks += strata_chat_marks(message);
        if (!first_user && turn->role == STRATA_TURN_USER) first_user = message;
    }
    if (code || marks || !prompt->image_count) return code;
    if (!first_user) return strata_fail(err, STRATA_ERR_USAGE, "there are images, but no user turn for them");
    struct strata_buffer text = {0};
    for (size_t i = 0; i < prompt->image_count; i++) strata_buffer_text(&text, "<image>");
    strata_buffer_text(&text, first_user->text);
    code = strata_buffer_check(&text, err);
    free(first_user->text);
    first_user->text = text.data; /* malloc'ed and NUL-terminated; NULL on failure */
    return code;
}

static int take_image(struct strata_image *out, const struct strata_vlm_image *image, struct strata_error *err) {
    size_t pixels;
    if (!!image->path + !!image->bytes + !!image->rgb != 1)
        return strata_fail(err, STRATA_ERR_USAGE, "an image has exactly one of path, bytes and rgb");
    if (image->path) return strata_image_load(out, image->path, err);
    if (image->bytes) return strata_image_decode(out, image->bytes, image->length, "image", err);
    if (!strata_mul_ok(&pixels, image->width, image->height) || pixels == 0 || pixels > STRATA_IMAGE_MAX_PIXELS)
        return strata_fail(err, STRATA_ERR_INPUT, "an image of %zu x %zu pixels", image->width, image->height);
    struct strata_image borrowed = {.width = image->width, .height = image->height, .rgb = (uint8_t *)image->rgb};
    return strata_image_copy(out, &borrowed, err);
}

static int take_prompt(struct asking *asking, struct strata_request *request, const struct strata_vlm_prompt *prompt,
                       const struct strata_tokenizer *tokenizer, struct strata_error *err) {
    if (!prompt->turn_count) return strata_fail(err, STRATA_ERR_USAGE, "the prompt has no turn");
    if (prompt->response && prompt->forced_ids)
        return strata_fail(err, STRATA_ERR_USAGE, "a response is given as text or as ids, not both");
    int code = take_turns(asking, prompt, err);
    if (!code) code = strata_alloc(&asking->images, prompt->image_count, sizeof *asking->images, err);
    while (!code && asking->image_count < prompt->image_count) {
        code = take_image(&asking->images[asking->image_count], &prompt->images[asking->image_count], err);
        if (!code) asking->image_count++;
    }
    if (!code && prompt->response) code = strata_chat_response(&asking->forced, tokenizer, prompt->response, err);
    *request = (struct strata_request){
        .sample_id = prompt->id ? prompt->id : "prompt",
        .messages = asking->messages,
        .message_count = asking->message_count,
        .images = asking->images,
        .image_count = asking->image_count,
        .sampling = {.temperature = prompt->temperature,
                     .top_p = prompt->top_p > 0 ? prompt->top_p : 1,
                     .top_k = prompt->top_k,
                     .repetition_penalty = prompt->repetition_penalty > 0 ? prompt->repetition_penalty : 1,
                     .max_new_tokens = prompt->max_new_tokens ? prompt->max_new_tokens : 1024},
        .seed = prompt->seed,
        .purpose = STRATA_PURPOSE_TOKEN,
        .first_draw = prompt->draw,
        .draws = 1,
        .forced_ids = prompt->response ? asking->forced.ids : prompt->forced_ids,
        .forced_count = prompt->response ? asking->forced.count : prompt->forced_count,
        .want_attention = prompt->want & (STRATA_WANT_ATTENTION | STRATA_WANT_MAP),
        .want_map = prompt->want & STRATA_WANT_MAP,
        .want_logprobs = true};
    return code;
}

/* ---- many prompts ---- */

static int measure_cells(struct strata_reply *reply, const struct asking *asking,
                         const struct strata_image_processor *processor, struct strata_error *err) {
    int code = strata_alloc(&reply->cells, asking->image_count, sizeof *reply->cells, err);
    for (size_t i = 0; !code && i < asking->image_count; i++) {
        struct strata_grid *cells = &reply->cells[i];
        code = strata_image_grid(cells, processor, asking->images[i].height, asking->images[i].width, err);
        cells->rows /= processor->merge_size;
        cells->columns /= processor->merge_size;
    }
    reply->image_count = asking->image_count;
    return code;
}

/* Submits prompt i; its reply is made, still without a result. */
static int submit(struct strata_reply **out, struct strata_vlm *vlm, const struct strata_vlm_prompt *given, size_t i,
                  struct strata_error *err) {
    const struct strata_model *model = strata_native_model(vlm->engine);
    struct strata_vlm_prompt prompt;
    struct strata_request request;
    struct asking asking = {0};
    if (!given) return strata_fail(err, STRATA_ERR_USAGE, "prompt %zu is NULL", i + 1);
    int code = strata_take(&prompt, sizeof prompt, given, PROMPT_LEAST, "struct strata_vlm_prompt", err);
    if (!code) code = strata_alloc(out, 1, sizeof **out, err);
    if (!code) code = take_prompt(&asking, &request, &prompt, model->tokenizer, err);
    if (!code) code = measure_cells(*out, &asking, &model->processor, err);
    if (!code) {
        request.tag = i;
        code = strata_engine_submit(vlm->engine, &request, err);
    }
    asking_free(&asking);
    return code ? strata_fail_at_default(err, code, "%s", prompt.id ? prompt.id : "prompt") : 0;
}

static int poll_one(struct strata_reply **out, struct strata_vlm *vlm, struct strata_error *err) {
    struct strata_result result;
    bool got;
    int code = strata_engine_poll(vlm->engine, &result, &got, err);
    if (code) return code;
    if (!got) return strata_fail(err, STRATA_ERR_ENGINE, "the engine gave no answer");
    if (result.finish == STRATA_FINISH_ERROR || result.finish == STRATA_FINISH_CANCELLED) {
        code = result.error.code ? result.error.code : STRATA_ERR_ENGINE;
        if (err) *err = result.error;
        strata_result_free(&result);
        return code;
    }
    out[result.tag]->result = result;
    return 0;
}

/* After an error: takes back what is still in flight, so that the next call starts from nothing. */
static void abandon(struct strata_reply **out, struct strata_vlm *vlm, size_t submitted, size_t count) {
    struct strata_result result;
    bool got = true;
    for (size_t i = 0; i < submitted; i++) strata_engine_cancel(vlm->engine, i);
    while (got && !strata_engine_poll(vlm->engine, &result, &got, NULL))
        if (got) strata_result_free(&result);
    for (size_t i = 0; i < count; i++) {
        strata_reply_free(out[i]);
        out[i] = NULL;
    }
}

int strata_vlm_generate_all(struct strata_reply **out, struct strata_vlm *vlm,
                            const struct strata_vlm_prompt *const *prompts, size_t count, struct strata_error *err) {
    size_t submitted = 0, answered = 0;
    int code = 0;
    for (size_t i = 0; i < count; i++) out[i] = NULL;
    while (!code && answered < count) {
        while (!code && submitted < count && strata_engine_has_room(vlm->engine, 1)) {
            code = submit(&out[submitted], vlm, prompts[submitted], submitted, err);
            if (!code) submitted++;
        }
        if (!code && submitted == answered)
            code = strata_fail(err, STRATA_ERR_ENGINE, "the engine has no room for a prompt");
        if (!code) code = poll_one(out, vlm, err);
        if (!code) answered++;
    }
    if (code) abandon(out, vlm, submitted, count);
    return code;
}

int strata_vlm_generate(struct strata_reply **out, struct strata_vlm *vlm, const struct strata_vlm_prompt *prompt,
                        struct strata_error *err) {
    return strata_vlm_generate_all(out, vlm, &prompt, 1, err);
}
