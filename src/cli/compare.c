/* strata compare: where do two dumps (or weights, or runs) differ first? B is the reference.
 *
 *   relative L2 = |a - b| / |b|        a stage agrees when it is at most --tolerance; integers agree when they are
 * equal
 *
 * Tensors are taken in the order of the forward pass, `hidden` layer by layer, so that the first stage that differs is
 * where to look. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/compare.h"
#include "cli/terminal.h"
#include "model/safetensors.h"

#define ID(name) STRATA_OPTION_ID_##name
#define CHUNK    16384

struct difference {
    double relative; /* |a-b| / |b|; infinite where one is not finite or b is all zero and a is not */
    double worst, a, b;
    size_t worst_index; /* in the stage */
    size_t unequal;     /* elements that differ at all */
    size_t count;
};

static bool is_integer(enum strata_dtype dtype) {
    return dtype == STRATA_DTYPE_I32 || dtype == STRATA_DTYPE_I64 || dtype == STRATA_DTYPE_U8;
}

/* Element `index` of an integer or F64 tensor. */
static double element(const struct strata_tensor *tensor, size_t index) {
    const unsigned char *bytes = (const unsigned char *)tensor->data + index * strata_dtype_size(tensor->dtype);
    switch (tensor->dtype) {
    case STRATA_DTYPE_U8:
        return *bytes;
    case STRATA_DTYPE_I32: {
        int32_t value;
        memcpy(&value, bytes, sizeof value);
        return value;
    }
    case STRATA_DTYPE_I64: {
        int64_t value;
        memcpy(&value, bytes, sizeof value);
        return (double)value;
    }
    default: {
        double value;
        memcpy(&value, bytes, sizeof value);
        return value;
    }
    }
}

static int widen(double *out, const struct strata_tensor *tensor, size_t first, size_t count, float *scratch,
                 struct strata_error *err) {
    if (is_integer(tensor->dtype) || tensor->dtype == STRATA_DTYPE_F64) {
        for (size_t i = 0; i < count; i++) out[i] = element(tensor, first + i);
        return 0;
    }
    int status = strata_tensor_floats(scratch, tensor, first, count, err);
    for (size_t i = 0; i < count && !status; i++) out[i] = (double)scratch[i];
    return status;
}

/* Elements [first, first+count) of both. */
static int measure(struct difference *out, const struct strata_tensor *a, const struct strata_tensor *b, size_t first,
                   size_t count, struct strata_error *err) {
    double *values;
    float *scratch;
    *out = (struct difference){.count = count, .worst = -1};
    int status = strata_alloc(&values, 2 * CHUNK, sizeof *values, err);
    if (status) return status;
    status = strata_alloc(&scratch, CHUNK, sizeof *scratch, err);
    double difference = 0, norm = 0;
    bool broken = false;
    for (size_t done = 0; done < count && !status; done += CHUNK) {
        size_t size = count - done < CHUNK ? count - done : CHUNK;
        status = widen(values, a, first + done, size, scratch, err);
        if (!status) status = widen(values + CHUNK, b, first + done, size, scratch, err);
        for (size_t i = 0; i < size && !status; i++) {
            double x = values[i], y = values[CHUNK + i], distance = fabs(x - y);
            /* Two NaNs or two equal infinities are no difference; one of them is the worst there can be. */
            bool same = x == y || (isnan(x) && isnan(y));
            if (same) distance = 0;
            if (!isfinite(distance)) distance = INFINITY;
            broken |= isinf(distance);
            out->unequal += !same;
            if (distance > out->worst) {
                out->worst = distance;
                out->worst_index = done + i;
                out->a = x;
                out->b = y;
            }
            if (isfinite(x) && isfinite(y)) {
                difference += distance * distance;
                norm += y * y;
            }
        }
    }
    free(values);
    free(scratch);
    out->relative = broken ? INFINITY : difference == 0 ? 0 : norm > 0 ? sqrt(difference / norm) : INFINITY;
    return status;
}

/* ---- stages in the order of the forward pass ---- */

struct stage {
    char name[192];
    const struct strata_tensor *a, *b;
    size_t first, count; /* elements of the tensor that are this stage */
    size_t rank, shape[STRATA_MAX_RANK];
    size_t order, index;
};

static size_t forward_order(const char *name) {
    static const char *const prefixes[] = {"input_ids",
                                           "position_ids",
                                           "rope_delta",
                                           "vision.window_index",
                                           "vision.cu_window_seqlens",
                                           "vision.position_ids",
                                           "vision.patch_embed",
                                           "vision.block",
                                           "vision",
                                           "hidden",
                                           "normed",
                                           "logits",
                                           "logsumexp",
                                           "next_logprob",
                                           "top5"};
    size_t count = sizeof prefixes / sizeof *prefixes;
    for (size_t i = 0; i < count; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return i;
    return count;
}

/* Names compare with their numbers as numbers: block.2 before block.10. */
static int natural_compare(const char *a, const char *b) {
    while (*a && *b) {
        if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
            char *end_a, *end_b;
            unsigned long long x = strtoull(a, &end_a, 10), y = strtoull(b, &end_b, 10);
            if (x != y) return x < y ? -1 : 1;
            a = end_a;
            b = end_b;
            continue;
        }
        if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        a++;
        b++;
    }
    return (*a != 0) - (*b != 0);
}

static int stage_compare(const void *left, const void *right) {
    const struct stage *a = left, *b = right;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    int names = natural_compare(a->name, b->name);
    if (names) return names;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* `hidden` (layers+1, …) and `hidden_last` are one stage a layer. */
static size_t slices(const struct strata_tensor *tensor) {
    return strncmp(tensor->name, "hidden", strlen("hidden")) == 0 && tensor->rank >= 2 ? tensor->shape[0] : 1;
}

static bool same_shape(const struct strata_tensor *a, const struct strata_tensor *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

static int collect(struct stage **out, size_t *count, const struct strata_safetensors *a,
                   const struct strata_safetensors *b, struct strata_error *err) {
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    for (size_t i = 0; i < strata_safetensors_count(a); i++) {
        const struct strata_tensor *x = strata_safetensors_at(a, i), *y = strata_safetensors_find(b, x->name);
        if (!y) continue;
        size_t parts = same_shape(x, y) ? slices(x) : 1;
        for (size_t part = 0; part < parts; part++) {
            int status = strata_grow(out, &capacity, *count + 1, sizeof **out, err);
            if (status) return status;
            struct stage *stage = &(*out)[(*count)++];
            *stage = (struct stage){.a = x, .b = y, .order = forward_order(x->name), .index = part};
            stage->count = x->count / parts;
            stage->first = part * stage->count;
            size_t skip = parts > 1 ? 1 : 0;
            stage->rank = x->rank - skip;
            memcpy(stage->shape, x->shape + skip, stage->rank * sizeof *stage->shape);
            if (parts > 1) {
                snprintf(stage->name, sizeof stage->name, "%.140s[%zu]", x->name, part);
            } else {
                snprintf(stage->name, sizeof stage->name, "%.140s", x->name);
            }
        }
    }
    /* Slices of one tensor keep their order: their names sort as numbers. */
    if (*count) qsort(*out, *count, sizeof **out, stage_compare);
    return 0;
}

/* "[3, 17]" */
static const char *index_text(char *out, size_t size, const struct stage *stage, size_t index) {
    size_t at = 0, rest = stage->count;
    at += (size_t)snprintf(out, size, "[");
    for (size_t d = 0; d < stage->rank && at < size; d++) {
        rest = stage->shape[d] ? rest / stage->shape[d] : 1;
        at += (size_t)snprintf(out + at, size - at, "%s%zu", d ? ", " : "", rest ? index / rest : 0);
        index = rest ? index % rest : 0;
    }
    if (at < size) snprintf(out + at, size - at, "]");
    return out;
}

/* ---- the report ---- */

struct comparison {
    double tolerance;
    struct strata_table table;
    json_t *stages;
    size_t compared, differing;
    char first[512]; /* the first stage that differs, with its worst element */
};

static void add_row(struct comparison *comparison, const struct stage *stage, const struct difference *difference,
                    bool agrees, const char *note) {
    char index[96] = "";
    json_t *row = json_pack("{s:s, s:b}", "stage", stage->name, "agrees", agrees);
    strata_table_cell(&comparison->table, "%s", stage->name);
    if (difference) {
        index_text(index, sizeof index, stage, difference->worst_index);
        strata_table_cell(&comparison->table, "%.2e", difference->relative);
        strata_table_cell(&comparison->table, "%.2e", difference->worst > 0 ? difference->worst : 0);
        strata_table_cell(&comparison->table, "%s", difference->worst > 0 ? index : "");
        if (isfinite(difference->relative)) json_object_set_new(row, "relative_l2", json_real(difference->relative));
        if (isfinite(difference->worst)) json_object_set_new(row, "worst", json_real(difference->worst));
        json_object_set_new(row, "worst_at", json_string(index));
        json_object_set_new(row, "unequal", json_integer((json_int_t)difference->unequal));
    } else {
        for (int i = 0; i < 3; i++) strata_table_cell(&comparison->table, "-");
    }
    strata_table_cell(&comparison->table, "%s", note);
    json_object_set_new(row, "note", json_string(note));
    json_array_append_new(comparison->stages, row);
    if (agrees) return;
    if (!comparison->differing++) {
        if (difference) {
            snprintf(comparison->first, sizeof comparison->first,
                     "%s: relative L2 %.3e, worst element %s: %.9g against %.9g", stage->name, difference->relative,
                     index, difference->a, difference->b);
        } else {
            snprintf(comparison->first, sizeof comparison->first, "%s: %s", stage->name, note);
        }
    }
}

static int compare_stage(struct comparison *comparison, const struct stage *stage, struct strata_error *err) {
    struct difference difference;
    if (!same_shape(stage->a, stage->b)) {
        char a[96], b[96], shapes[224];
        strata_shape_text(a, sizeof a, stage->a->shape, stage->a->rank);
        strata_shape_text(b, sizeof b, stage->b->shape, stage->b->rank);
        snprintf(shapes, sizeof shapes, "SHAPES DIFFER: %s, %s", a, b);
        comparison->compared++;
        add_row(comparison, stage, NULL, false, shapes);
        return 0;
    }
    int status = measure(&difference, stage->a, stage->b, stage->first, stage->count, err);
    if (status) return status;
    bool exact = is_integer(stage->a->dtype) || is_integer(stage->b->dtype);
    bool agrees = exact ? difference.unequal == 0 : difference.relative <= comparison->tolerance;
    char note[64] = "";
    if (!agrees && exact)
        snprintf(note, sizeof note, "DIFFERS in %zu of %zu", difference.unequal, difference.count);
    else if (!agrees)
        snprintf(note, sizeof note, "DIFFERS");
    else if (difference.unequal == 0)
        snprintf(note, sizeof note, "equal");
    comparison->compared++;
    add_row(comparison, stage, &difference, agrees, note);
    return 0;
}

/* Names that stand in `a` only. */
static json_t *only_in(const struct strata_safetensors *a, const struct strata_safetensors *b) {
    json_t *names = json_array();
    for (size_t i = 0; i < strata_safetensors_count(a); i++) {
        const char *name = strata_safetensors_at(a, i)->name;
        if (!strata_safetensors_find(b, name)) json_array_append_new(names, json_string(name));
    }
    return names;
}

static void print_only(const char *path, const json_t *names) {
    size_t count = json_array_size(names);
    if (!count) return;
    printf("only in %s:", path);
    for (size_t i = 0; i < count && i < 8; i++) printf(" %s", json_string_value(json_array_get(names, i)));
    if (count > 8) printf(" and %zu more", count - 8);
    putchar('\n');
}

static int print_comparison(struct comparison *comparison, const struct strata_arguments *arguments, json_t *only_a,
                            json_t *only_b, struct strata_error *err) {
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(json_pack("{s:I, s:I, s:f, s:s?, s:O, s:O, s:O}", "compared",
                                           (json_int_t)comparison->compared, "differing",
                                           (json_int_t)comparison->differing, "tolerance", comparison->tolerance,
                                           "first", comparison->differing ? comparison->first : NULL, "stages",
                                           comparison->stages, "only_in_a", only_a, "only_in_b", only_b),
                                 err);
    strata_table_print(&comparison->table, 0, false);
    putchar('\n');
    print_only(arguments->operands[0], only_a);
    print_only(arguments->operands[1], only_b);
    if (comparison->differing) {
        printf("%zu of %zu stages differ; the first is %s\n", comparison->differing, comparison->compared,
               comparison->first);
    } else {
        printf("%zu stages agree within %g\n", comparison->compared, comparison->tolerance);
    }
    return 0;
}

static int compare_tensors(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_safetensors *a = NULL, *b = NULL;
    struct stage *stages = NULL;
    size_t count = 0;
    struct comparison comparison = {.tolerance = strata_real(arguments, ID(TOLERANCE)),
                                    .table = {.columns = 5, .left = 1u << 3 | 1u << 4},
                                    .stages = json_array()};
    static const char *const heading[] = {"stage", "relative L2", "worst", "at", ""};
    for (size_t i = 0; i < 5; i++) strata_table_cell(&comparison.table, "%s", heading[i]);
    int status = strata_safetensors_open(&a, arguments->operands[0], err);
    if (!status) status = strata_safetensors_open(&b, arguments->operands[1], err);
    if (!status) status = collect(&stages, &count, a, b, err);
    if (!status && !count) {
        strata_fail(err, STRATA_ERR_INPUT, "the two have no tensor name in common");
        status = strata_fail_at(err, STRATA_ERR_INPUT, "%s, %s", arguments->operands[0], arguments->operands[1]);
    }
    for (size_t i = 0; i < count && !status; i++) status = compare_stage(&comparison, &stages[i], err);
    if (!status) {
        json_t *only_a = only_in(a, b), *only_b = only_in(b, a);
        status = print_comparison(&comparison, arguments, only_a, only_b, err);
        json_decref(only_a);
        json_decref(only_b);
    }
    strata_table_free(&comparison.table);
    json_decref(comparison.stages);
    free(stages);
    strata_safetensors_close(a);
    strata_safetensors_close(b);
    if (status) return status;
    return comparison.differing ? STRATA_ERR_INPUT : 0; /* said on stdout already: err stays empty */
}

int strata_cli_compare(const struct strata_arguments *arguments, struct strata_error *err) {
    bool runs = true;
    for (size_t i = 0; i < 2 && runs; i++) {
        char *path = strata_path_join(arguments->operands[i], "difficulty.jsonl");
        runs = path && strata_file_exists(path);
        free(path);
    }
    return runs ? strata_compare_runs(arguments, err) : compare_tensors(arguments, err);
}
