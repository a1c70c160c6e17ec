/* One line of a file of recorded answers, checked. */
#include "engine/recorded_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

#define MAX_LAYERS   4096
#define MAX_TOKENS   (1 << 24)
#define MAX_SEGMENTS (1 << 16)

struct parser {
    const json_t *object;
    const char *name; /* FILE:LINE */
    struct strata_error *err;
};

static int STRATA_PRINTF(2, 3) bad(const struct parser *parser, const char *format, ...) {
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    strata_fail(parser->err, STRATA_ERR_INPUT, "%s", what);
    return strata_fail_at(parser->err, STRATA_ERR_INPUT, "%s", parser->name);
}

static int read_size(size_t *out, const struct parser *parser, const char *key, int64_t low, int64_t high) {
    int64_t value = 0;
    int code = strata_json_int(&value, parser->object, key, true, low, high, parser->name, parser->err);
    *out = (size_t)value;
    return code;
}

static int read_segment(struct strata_segment *out, const struct parser *parser, const json_t *row, size_t s) {
    const char *kind = json_string_value(json_array_get(row, 0));
    int64_t numbers[3];
    if (!json_is_array(row) || json_array_size(row) != 4 || !kind)
        return bad(parser, "segment %zu is not [kind, begin, count, image]", s);
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(row, i + 1);
        numbers[i] = json_is_integer(value) ? json_integer_value(value) : -1;
        if (numbers[i] < 0 || numbers[i] > MAX_TOKENS)
            return bad(parser, "segment %zu is not [kind, begin, count, image]", s);
    }
    if (!strata_segment_parse(&out->kind, kind)) return bad(parser, "segment %zu is of no known kind: %.40s", s, kind);
    out->begin = (uint32_t)numbers[0];
    out->count = (uint32_t)numbers[1];
    out->image = (uint32_t)numbers[2];
    return 0;
}

/* Segments cover the prompt in order; images are numbered as they come. */
static int read_segments(struct strata_recorded_answer *out, const struct parser *parser) {
    struct strata_attention *attention = out->result.attention;
    const json_t *rows = json_object_get(parser->object, "segments");
    size_t covered = 0;
    attention->S = json_array_size(rows);
    if (attention->S == 0 || attention->S > MAX_SEGMENTS)
        return bad(parser, "\"segments\" must be a list of [kind, begin, count, image]");
    int code = strata_alloc(&attention->segments, attention->S, sizeof *attention->segments, parser->err);
    for (size_t s = 0; !code && s < attention->S; s++) {
        struct strata_segment *segment = &attention->segments[s];
        code = read_segment(segment, parser, json_array_get(rows, s), s);
        if (code) break;
        if (segment->begin != covered || segment->count == 0)
            return bad(parser, "segment %zu begins at token %u and has %u: it should begin at %zu", s, segment->begin,
                       segment->count, covered);
        covered += segment->count;
        if (segment->kind == STRATA_SEGMENT_IMAGE && segment->image != out->images++)
            return bad(parser, "segment %zu is image %u where image %zu is due", s, segment->image, out->images - 1);
    }
    if (!code && covered != out->result.prompt_tokens)
        return bad(parser, "the segments cover %zu tokens, the prompt has %zu", covered, out->result.prompt_tokens);
    attention->T = covered;
    return code;
}

static int read_ids(struct strata_recorded_answer *out, const struct parser *parser) {
    const json_t *ids = json_object_get(parser->object, "ids");
    struct strata_result *result = &out->result;
    result->N = json_array_size(ids);
    if (result->N == 0 || result->N > MAX_TOKENS) return bad(parser, "\"ids\" must be the response's token ids");
    int code = strata_alloc(&result->ids, result->N, sizeof *result->ids, parser->err);
    for (size_t n = 0; !code && n < result->N; n++) {
        const json_t *id = json_array_get(ids, n);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return bad(parser, "token %zu of \"ids\" is not a token id", n);
        result->ids[n] = (int32_t)json_integer_value(id);
    }
    return code;
}

/* Every mass is a share of one row of attention: between 0 and 1, and a row's sum too, up to rounding. */
static int check_masses(const struct strata_attention *attention, const struct parser *parser) {
    for (size_t row = 0; row < attention->L * attention->N; row++) {
        double sum = 0;
        for (size_t s = 0; s < attention->S; s++) {
            double mass = (double)attention->masses[row * attention->S + s];
            if (!(mass >= 0 && mass <= 1.001))
                return bad(parser, "the mass at layer %zu, token %zu, segment %zu is %g", row / attention->N,
                           row % attention->N, s, mass);
            sum += mass;
        }
        if (sum > 1.001)
            return bad(parser, "the masses at layer %zu, token %zu sum to %g, more than 1", row / attention->N,
                       row % attention->N, sum);
    }
    return 0;
}

static int read_masses(struct strata_attention *attention, const struct parser *parser) {
    const char *text = NULL;
    struct strata_buffer bytes = {0};
    size_t values;
    int code = strata_json_string(&text, parser->object, "masses", true, parser->name, parser->err);
    if (code) return code;
    if (!strata_mul_ok(&values, attention->L * attention->N, attention->S) || values > SIZE_MAX / sizeof(float))
        return bad(parser, "%zu layers x %zu tokens x %zu segments are too many", attention->L, attention->N,
                   attention->S);
    code = strata_base64_decode(&bytes, text, strlen(text), parser->err);
    if (code) strata_fail_at(parser->err, code, "%s", parser->name);
    if (!code && bytes.length != values * sizeof(float))
        code = bad(parser, "\"masses\" has %zu bytes: %zu layers x %zu tokens x %zu segments of float32 are %zu",
                   bytes.length, attention->L, attention->N, attention->S, values * sizeof(float));
    if (!code) code = strata_alloc(&attention->masses, values, sizeof(float), parser->err);
    for (size_t i = 0; !code && i < values; i++) {
        const unsigned char *at = (const unsigned char *)bytes.data + 4 * i;
        uint32_t bits = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        memcpy(&attention->masses[i], &bits, sizeof bits);
    }
    strata_buffer_free(&bytes);
    return code ? code : check_masses(attention, parser);
}

static int read_text(struct strata_recorded_answer *out, const struct parser *parser) {
    const char *id = NULL, *md5 = NULL, *finish = NULL;
    const json_t *response = json_object_get(parser->object, "response");
    int code = strata_json_string(&id, parser->object, "id", true, parser->name, parser->err);
    if (!code) code = strata_json_string(&md5, parser->object, "prompt_md5", true, parser->name, parser->err);
    if (!code) code = strata_json_string(&finish, parser->object, "finish", true, parser->name, parser->err);
    if (code) return code;
    if (!*id) return bad(parser, "the id is empty");
    if (strlen(md5) != 32) return bad(parser, "\"prompt_md5\" is not an MD5 sum");
    if (strcmp(finish, "stop") != 0 && strcmp(finish, "length") != 0)
        return bad(parser, "\"finish\" is \"%.40s\": stop or length", finish);
    if (!json_is_string(response)) return bad(parser, "\"response\" must be the response's text");
    memcpy(out->prompt_md5, md5, sizeof out->prompt_md5);
    out->result.finish = *finish == 's' ? STRATA_FINISH_STOP : STRATA_FINISH_LENGTH;
    out->id = strata_strdup(id);
    out->result.text_length = json_string_length(response);
    code = strata_alloc(&out->result.text, out->result.text_length + 1, 1, parser->err);
    if (code || !out->id) return code ? code : strata_fail(parser->err, STRATA_ERR_MEMORY, "out of memory");
    memcpy(out->result.text, json_string_value(response), out->result.text_length);
    return 0;
}

static int read_answer(struct strata_recorded_answer *out, const struct parser *parser) {
    struct strata_attention *attention = NULL;
    int code = read_text(out, parser);
    if (!code) code = read_size(&out->result.prompt_tokens, parser, "prompt_tokens", 1, MAX_TOKENS);
    if (!code) code = read_ids(out, parser);
    if (!code) code = strata_alloc(&attention, 1, sizeof *attention, parser->err);
    out->result.attention = attention;
    if (!code) code = read_size(&attention->L, parser, "layers", 1, MAX_LAYERS);
    if (!code) code = read_segments(out, parser);
    if (code) return code;
    attention->N = out->result.N;
    return read_masses(attention, parser);
}

void strata_recorded_answer_free(struct strata_recorded_answer *answer) {
    free(answer->id);
    strata_result_free(&answer->result);
    *answer = (struct strata_recorded_answer){0};
}

static int parse_object(json_t **out, const char *text, size_t length, const char *path, size_t line, const char *name,
                        struct strata_error *err) {
    int code = strata_json_parse(out, text, length, path, line, err);
    if (code || json_is_object(*out)) return code;
    json_decref(*out);
    *out = NULL;
    strata_fail(err, STRATA_ERR_INPUT, "a line must be a JSON object");
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", name);
}

int strata_recorded_parse(struct strata_recorded_answer *out, const char *text, size_t length, const char *path,
                          size_t line, struct strata_error *err) {
    char name[384];
    json_t *object;
    *out = (struct strata_recorded_answer){0};
    snprintf(name, sizeof name, "%s:%zu", path, line);
    int code = parse_object(&object, text, length, path, line, name, err);
    if (code) return code;
    code = read_answer(out, &(struct parser){object, name, err});
    json_decref(object);
    if (code) strata_recorded_answer_free(out);
    return code;
}

static int read_header(struct strata_sampling *sampling, struct strata_buffer *identity, const struct parser *parser) {
    const json_t *model = json_object_get(parser->object, "model"), *settings = NULL;
    const char *format = NULL, *hash = NULL;
    int64_t version = 0, top_k = 0, max_new_tokens = 0;
    double temperature = 0, top_p = 1, penalty = 1;
    struct strata_error *err = parser->err;
    const char *name = parser->name;
    int code = strata_json_string(&format, parser->object, "format", false, name, err);
    if (code || !format || strcmp(format, STRATA_RECORDED_FORMAT) != 0) {
        bad(parser, "the first line is not that of a file of recorded answers");
        return strata_fail_hint(err, STRATA_ERR_INPUT, "python -m strata_hf writes such files");
    }
    code = strata_json_int(&version, parser->object, "version", true, 1, STRATA_RECORDED_VERSION, name, err);
    if (!code && !json_is_object(model)) code = bad(parser, "\"model\" must say what answered");
    if (!code) code = strata_json_string(&hash, model, "hash", true, name, err);
    settings = json_object_get(parser->object, "settings");
    if (!code && !json_is_object(settings)) code = bad(parser, "\"settings\" must say how it answered");
    if (!code) code = strata_json_real(&temperature, settings, "temperature", true, name, err);
    if (!code) code = strata_json_real(&top_p, settings, "top_p", true, name, err);
    if (!code) code = strata_json_int(&top_k, settings, "top_k", true, 0, INT32_MAX, name, err);
    if (!code) code = strata_json_real(&penalty, settings, "repetition_penalty", true, name, err);
    if (!code) code = strata_json_int(&max_new_tokens, settings, "max_new_tokens", true, 1, MAX_TOKENS, name, err);
    if (code) return code;
    *sampling = (struct strata_sampling){(float)temperature, (float)top_p, (uint32_t)top_k, (float)penalty,
                                         (uint32_t)max_new_tokens};
    strata_buffer_printf(identity, "%s ", hash);
    strata_json_write(identity, settings);
    return strata_buffer_check(identity, err);
}

int strata_recorded_parse_header(struct strata_sampling *sampling, struct strata_buffer *identity, const char *text,
                                 size_t length, const char *path, struct strata_error *err) {
    char name[384];
    json_t *object;
    snprintf(name, sizeof name, "%s:1", path);
    int code = parse_object(&object, text, length, path, 1, name, err);
    if (code) return code;
    code = read_header(sampling, identity, &(struct parser){object, name, err});
    json_decref(object);
    return code;
}
