/* CMAB: folding, storing and cutting attention masses. */
#include "difficulty/cmab.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/elementary.h"
#include "base/memory.h"

#define EPSILON 1e-8

void strata_cmab_paper(struct strata_cmab_options *options) {
    *options = (struct strata_cmab_options){.layers = STRATA_CMAB_LAYERS_INNER, .bands = {0.1, 0.4, 1.6, 1.9}};
}

void strata_cmab_released_code(struct strata_cmab_options *options) {
    strata_cmab_paper(options);
    options->pool = STRATA_CMAB_MEAN;
    options->layers = 20;
    options->over = STRATA_CMAB_OVER_RATIO_OF_SUMS;
    options->text = STRATA_CMAB_TEXT_BEFORE_IMAGE;
    options->skip_first = true;
}

static enum strata_cmab_class class_of(const struct strata_segment *segment, bool after) {
    if (segment->kind == STRATA_SEGMENT_IMAGE) return STRATA_CMAB_IMAGE;
    if (segment->kind == STRATA_SEGMENT_QUESTION)
        return after ? STRATA_CMAB_AFTER_QUESTION : STRATA_CMAB_BEFORE_QUESTION;
    return after ? STRATA_CMAB_AFTER : STRATA_CMAB_BEFORE;
}

int strata_cmab_fold(struct strata_cmab_masses *out, const struct strata_attention *attention,
                     struct strata_error *err) {
    size_t S = attention->S, rows, count;
    enum strata_cmab_class *classes;
    *out = (struct strata_cmab_masses){.L = attention->L, .N = attention->N};
    if (!strata_mul_ok(&rows, out->L, out->N) || !strata_mul_ok(&count, rows, STRATA_CMAB_CLASSES))
        return strata_fail(err, STRATA_ERR_MEMORY, "attention of %zu layers x %zu tokens is too large", out->L, out->N);
    int code = strata_alloc(&classes, S, sizeof *classes, err);
    if (!code) code = strata_alloc(&out->masses, count, sizeof *out->masses, err);
    if (code) {
        free(classes);
        return code;
    }
    bool after = false;
    for (size_t s = 0; s < S; s++) {
        classes[s] = class_of(&attention->segments[s], after);
        if (classes[s] == STRATA_CMAB_IMAGE) after = true;
        out->tokens[classes[s]] += attention->segments[s].count;
    }
    for (size_t row = 0; row < rows; row++) {
        double sums[STRATA_CMAB_CLASSES] = {0};
        for (size_t s = 0; s < S; s++) sums[classes[s]] += (double)attention->masses[row * S + s];
        for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) {
            if (!(sums[c] >= 0 && sums[c] < 2)) code = STRATA_ERR_NUMERIC;
            out->masses[row * STRATA_CMAB_CLASSES + c] = (float)sums[c];
        }
    }
    free(classes);
    if (!code) return 0;
    strata_cmab_masses_free(out);
    return strata_fail(err, code, "an attention mass is not a finite number between 0 and 1");
}

void strata_cmab_masses_free(struct strata_cmab_masses *masses) {
    free(masses->masses);
    *masses = (struct strata_cmab_masses){0};
}

#define PACK_VERSION 1
#define PACK_HEADER  (4 + 4 * (3 + STRATA_CMAB_CLASSES))

static void put_u32(struct strata_buffer *out, uint32_t value) {
    unsigned char bytes[4] = {(unsigned char)value, (unsigned char)(value >> 8), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 24)};
    strata_buffer_append(out, bytes, sizeof bytes);
}

static uint32_t get_u32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int strata_cmab_pack(struct strata_buffer *out, const struct strata_cmab_masses *masses, struct strata_error *err) {
    if (masses->L > UINT32_MAX || masses->N > UINT32_MAX)
        return strata_fail(err, STRATA_ERR_MEMORY, "attention of %zu layers x %zu tokens is too large", masses->L,
                           masses->N);
    strata_buffer_append(out, "CMAB", 4);
    put_u32(out, PACK_VERSION);
    put_u32(out, (uint32_t)masses->L);
    put_u32(out, (uint32_t)masses->N);
    for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) put_u32(out, masses->tokens[c]);
    for (size_t row = 0; row < masses->L * masses->N; row++) {
        for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) {
            if (!masses->tokens[c]) continue;
            uint32_t bits;
            memcpy(&bits, &masses->masses[row * STRATA_CMAB_CLASSES + c], sizeof bits);
            put_u32(out, bits);
        }
    }
    return strata_buffer_check(out, err);
}

int strata_cmab_unpack(struct strata_cmab_masses *out, const void *bytes, size_t length, const char *name,
                       struct strata_error *err) {
    const unsigned char *at = bytes;
    size_t present = 0, rows, values;
    *out = (struct strata_cmab_masses){0};
    bool good = length >= PACK_HEADER && memcmp(at, "CMAB", 4) == 0 && get_u32(at + 4) == PACK_VERSION;
    if (good) {
        out->L = get_u32(at + 8);
        out->N = get_u32(at + 12);
        for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) {
            out->tokens[c] = get_u32(at + 16 + 4 * c);
            present += out->tokens[c] > 0;
        }
        good = strata_mul_ok(&rows, out->L, out->N) && strata_mul_ok(&values, rows, present) &&
               (length - PACK_HEADER) % 4 == 0 && (length - PACK_HEADER) / 4 == values && present > 0;
    }
    if (!good) {
        *out = (struct strata_cmab_masses){0};
        strata_fail(err, STRATA_ERR_INPUT, "stored attention masses are damaged");
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", name);
    }
    int code = strata_alloc(&out->masses, rows * STRATA_CMAB_CLASSES, sizeof *out->masses, err);
    if (code) return code;
    at += PACK_HEADER;
    for (size_t row = 0; row < rows; row++) {
        for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) {
            if (!out->tokens[c]) continue;
            uint32_t bits = get_u32(at);
            memcpy(&out->masses[row * STRATA_CMAB_CLASSES + c], &bits, sizeof bits);
            at += 4;
        }
    }
    return 0;
}

/* Which classes count as text. */
static void text_classes(bool in_text[STRATA_CMAB_CLASSES], enum strata_cmab_text text) {
    for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) {
        bool before = c == STRATA_CMAB_BEFORE || c == STRATA_CMAB_BEFORE_QUESTION;
        bool question = c == STRATA_CMAB_BEFORE_QUESTION || c == STRATA_CMAB_AFTER_QUESTION;
        in_text[c] = c != STRATA_CMAB_IMAGE &&
                     (text == STRATA_CMAB_TEXT_PROMPT || (text == STRATA_CMAB_TEXT_BEFORE_IMAGE ? before : question));
    }
}

/* S_img and S_txt, or their means over tokens, as the options say; at one (layer, token) or summed over tokens. */
struct balance {
    bool in_text[STRATA_CMAB_CLASSES];
    double image_scale, text_scale;
};

static void add_masses(double *image, double *text, const struct balance *balance, const float *masses) {
    *image += (double)masses[STRATA_CMAB_IMAGE] * balance->image_scale;
    for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++)
        if (balance->in_text[c]) *text += (double)masses[c] * balance->text_scale;
}

/* Text to which float softmax gave nothing at all cannot be told from the smallest float. */
static double ratio(double image, double text) {
    return image / (text > (double)FLT_MIN ? text : (double)FLT_MIN);
}

static int layer_range(size_t *first, size_t *last, const struct strata_cmab_masses *masses,
                       const struct strata_cmab_options *options, struct strata_error *err) {
    if (options->layers == STRATA_CMAB_LAYERS_ALL) {
        *first = 0;
        *last = masses->L;
    } else if (options->layers == STRATA_CMAB_LAYERS_INNER) {
        *first = 1;
        *last = masses->L > 0 ? masses->L - 1 : 0;
    } else {
        *first = (size_t)options->layers;
        *last = *first + 1;
    }
    if (*last <= masses->L && *first < *last) return 0;
    strata_fail(err, STRATA_ERR_USAGE, "the model has %zu layers: none is left by this choice of layers", masses->L);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "--cmab-layers inner, all, or an index below the number of layers");
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Mean, median and geometric mean of rho_t (count > 0). Sorts its input. */
static void over_tokens(double over[STRATA_CMAB_OVERS], double *rho_t, size_t count) {
    double sum = 0, logs = 0;
    for (size_t t = 0; t < count; t++) {
        sum += rho_t[t];
        logs += strata_log(rho_t[t]);
    }
    over[STRATA_CMAB_OVER_MEAN] = sum / (double)count;
    over[STRATA_CMAB_OVER_GEOMEAN] = strata_exp(logs / (double)count);
    qsort(rho_t, count, sizeof *rho_t, compare_doubles);
    over[STRATA_CMAB_OVER_MEDIAN] = count % 2 ? rho_t[count / 2] : 0.5 * rho_t[count / 2 - 1] + 0.5 * rho_t[count / 2];
}

static void cut(struct strata_cmab_rho *out, double *rho_t, double *rho_lt, const struct strata_cmab_masses *masses,
                const struct balance *balance, size_t first_layer, size_t last_layer, bool skip_first) {
    size_t L = masses->L, N = masses->N;
    double sums_log = 0, layers = (double)(last_layer - first_layer);
    for (size_t t = 0; t < N; t++) rho_t[t] = 0;
    for (size_t l = 0; l < L; l++) {
        bool wanted = l >= first_layer && l < last_layer;
        double image_sum = 0, text_sum = 0;
        for (size_t t = 0; t < N; t++) {
            double image = 0, text = 0;
            add_masses(&image, &text, balance, &masses->masses[(l * N + t) * STRATA_CMAB_CLASSES]);
            if (rho_lt) rho_lt[l * N + t] = ratio(image, text);
            if (!wanted) continue;
            rho_t[t] += strata_log(ratio(image, text) + EPSILON);
            if (t == 0 && skip_first) continue;
            image_sum += image;
            text_sum += text;
        }
        if (wanted) sums_log += strata_log(ratio(image_sum, text_sum) + EPSILON);
    }
    for (size_t t = 0; t < N; t++) rho_t[t] = strata_exp(rho_t[t] / layers);
    out->over[STRATA_CMAB_OVER_RATIO_OF_SUMS] = strata_exp(sums_log / layers);
}

int strata_cmab_rho(struct strata_cmab_rho *out, double *rho_t, double *rho_lt, const struct strata_cmab_masses *masses,
                    const struct strata_cmab_options *options, struct strata_error *err) {
    size_t first_layer, last_layer, N = masses->N, skip = options->skip_first ? 1 : 0, text_tokens = 0;
    struct balance balance = {.image_scale = 1, .text_scale = 1};
    double *values;
    *out = (struct strata_cmab_rho){0};
    int code = layer_range(&first_layer, &last_layer, masses, options, err);
    if (code) return code;
    text_classes(balance.in_text, options->text);
    for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++)
        if (balance.in_text[c]) text_tokens += masses->tokens[c];
    if (masses->tokens[STRATA_CMAB_IMAGE] == 0 || text_tokens == 0 || N <= skip) return 0;
    if (options->pool == STRATA_CMAB_MEAN) {
        balance.image_scale = 1 / (double)masses->tokens[STRATA_CMAB_IMAGE];
        balance.text_scale = 1 / (double)text_tokens;
    }
    code = strata_alloc(&values, N, sizeof *values, err);
    if (code) return code;
    cut(out, values, rho_lt, masses, &balance, first_layer, last_layer, options->skip_first);
    if (rho_t) memcpy(rho_t, values, N * sizeof *values);
    over_tokens(out->over, values + skip, N - skip);
    free(values);
    out->rho = out->over[options->over];
    if (!isfinite(out->rho)) return strata_fail(err, STRATA_ERR_NUMERIC, "the attention balance is not finite");
    out->defined = true;
    return 0;
}

enum strata_stratum strata_cmab_stratum(const struct strata_cmab_options *options, const struct strata_cmab_rho *rho,
                                        bool correct) {
    const double *bands = options->bands;
    if (!rho->defined) return STRATA_STRATUM_NOT_APPLICABLE;
    if (!correct) return STRATA_STRATUM_UNSOLVED;
    if (rho->rho < bands[0] || rho->rho > bands[3]) return STRATA_STRATUM_EASY;
    return rho->rho < bands[1] || rho->rho > bands[2] ? STRATA_STRATUM_MEDIUM : STRATA_STRATUM_HARD;
}
