/* Loading: every tensor of the table is found and its shape checked first, then the values are checked and packed piece
 * by piece. Beside the packed weights this takes one conversion buffer per worker, and the source pages of a piece are
 * given back as soon as it is packed. */
#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/weights_pieces.h"

#define NAME_SIZE (sizeof(((struct strata_weight_row *)NULL)->name) + 32)

/* The nested name of a hub name: `visual.` -> `model.visual.`, `model.` -> `model.language_model.`. */
static void nested_name(char out[NAME_SIZE], const char *hub) {
    if (strncmp(hub, "visual.", 7) == 0)
        snprintf(out, NAME_SIZE, "model.%s", hub);
    else if (strncmp(hub, "model.", 6) == 0)
        snprintf(out, NAME_SIZE, "model.language_model.%s", hub + 6);
    else
        snprintf(out, NAME_SIZE, "%s", hub);
}

static void shape_text(char *out, size_t size, const size_t *shape, size_t rank) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

static int check_tensor(const struct strata_tensor *tensor, const struct strata_weight_row *row,
                        struct strata_error *err) {
    if (tensor->dtype != STRATA_DTYPE_F32 && tensor->dtype != STRATA_DTYPE_BF16 && tensor->dtype != STRATA_DTYPE_F16)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "tensor '%.200s' is %s; F32, BF16 or F16 is needed",
                           tensor->name, strata_dtype_name(tensor->dtype));
    if (tensor->rank == row->rank && memcmp(tensor->shape, row->shape, row->rank * sizeof *row->shape) == 0)
        return STRATA_OK;
    char is[192], should[128];
    shape_text(is, sizeof is, tensor->shape, tensor->rank);
    shape_text(should, sizeof should, row->shape, row->rank);
    return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.128s' has shape %s; the config asks for %s", tensor->name, is,
                       should);
}

static int find_tensor(const struct strata_tensor **out, const struct strata_safetensors *file,
                       const struct strata_weight_row *row, struct strata_error *err) {
    char nested[NAME_SIZE];
    nested_name(nested, row->name);
    const struct strata_tensor *by_hub = strata_safetensors_find(file, row->name);
    const struct strata_tensor *by_nested = strata_safetensors_find(file, nested);
    *out = by_hub ? by_hub : by_nested;
    if (by_hub && by_nested && by_hub != by_nested)
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%s' is there twice, also as '%s'", row->name, nested);
    if (*out) return check_tensor(*out, row, err);
    strata_fail(err, STRATA_ERR_INPUT, "tensor '%s' is missing", row->name);
    if (strcmp(row->name, "lm_head.weight") == 0)
        strata_fail_hint(err, STRATA_ERR_INPUT, "the config says that the head is not tied (tie_word_embeddings)");
    return STRATA_ERR_INPUT;
}

/* A tied checkpoint may repeat the embedding as its head (some trainers save both); another head is refused. */
static int check_tied_head(const struct strata_tensor *head, const struct strata_tensor *embedding,
                           const struct strata_safetensors *file, struct strata_error *err) {
    bool same = head->dtype == embedding->dtype && head->count == embedding->count &&
                memcmp(head->data, embedding->data, head->count * strata_dtype_size(head->dtype)) == 0;
    strata_safetensors_release(file, head);
    strata_safetensors_release(file, embedding);
    if (same) return STRATA_OK;
    return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' differs from the embedding, but the config ties them",
                       head->name);
}

/* Called when the file has more tensors than were found: names the first that no row of the table asks for. */
static int name_extra(const struct strata_safetensors *file, const struct strata_tensor *const *found, size_t count,
                      struct strata_error *err) {
    for (size_t i = 0; i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        size_t j = 0;
        while (j < count && found[j] != tensor) j++;
        if (j < count) continue;
        strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' has no place in this model", tensor->name);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", strata_safetensors_path(file, tensor));
    }
    return STRATA_OK;
}

/* found[i] is the tensor of rows[i], for i < count; one more place holds a tied head that the file repeats. */
static int find_tensors(const struct strata_tensor **found, const struct strata_weight_row *rows, size_t count,
                        const struct strata_model_config *config, const struct strata_safetensors *file,
                        struct strata_error *err) {
    size_t used = count;
    const struct strata_tensor *embedding = NULL;
    for (size_t i = 0; i < count; i++) {
        int code = find_tensor(&found[i], file, &rows[i], err);
        if (code)
            return strata_safetensors_count(file) == 0
                       ? code
                       : strata_fail_at(
                             err, code, "%s",
                             strata_safetensors_path(file, found[i] ? found[i] : strata_safetensors_at(file, 0)));
        if (strcmp(rows[i].name, "model.embed_tokens.weight") == 0) embedding = found[i];
    }
    const struct strata_tensor *head = config->text.tied ? strata_safetensors_find(file, "lm_head.weight") : NULL;
    if (head && embedding) {
        int code = check_tied_head(head, embedding, file, err);
        if (code) return strata_fail_at(err, code, "%s", strata_safetensors_path(file, head));
        found[used++] = head;
    }
    return strata_safetensors_count(file) == used ? STRATA_OK : name_extra(file, found, used, err);
}

/* Index of the first value that is not finite, or would not be once rounded to bf16 (int8: the same limit); count when
 * there is none. The first loop has no exit, so that it vectorises; the second runs only on bad input. */
static size_t bad_float(const float *values, size_t count, enum strata_weight_type type) {
    const uint32_t limit = type == STRATA_WEIGHT_F32 ? 0x7f800000u : 0x7f7f8000u;
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & 0x7fffffffu) >= limit;
    }
    for (size_t i = 0; bad && i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if ((bits & 0x7fffffffu) >= limit) return i;
    }
    return count;
}

static size_t bad_bf16(const uint16_t *values, size_t count) {
    uint16_t bad = 0;
    for (size_t i = 0; i < count; i++) bad = (uint16_t)(bad | ((values[i] & 0x7fffu) >= 0x7f80u));
    for (size_t i = 0; bad && i < count; i++)
        if ((values[i] & 0x7fffu) >= 0x7f80u) return i;
    return count;
}

struct load {
    const struct strata_weight_row *rows;
    const struct strata_tensor **tensors; /* of the rows */
    const struct strata_safetensors *file;
    enum strata_weight_type type;
    size_t *bad; /* per piece: element of the tensor that is not finite, else SIZE_MAX */
};

/* Elements [first, first+count) of the tensor, whole rows of K: checked and packed. Returns the first bad element. */
static size_t load_rows(const struct load *load, const struct strata_weight_piece *piece, size_t first_row, size_t rows,
                        float *buffer) {
    const struct strata_weight_row *row = &load->rows[piece->index];
    const struct strata_tensor *tensor = load->tensors[piece->index];
    size_t first = first_row * piece->K, count = rows * piece->K, bad;
    if (row->matrix && tensor->dtype == STRATA_DTYPE_BF16) {
        const unsigned char *bytes = (const unsigned char *)tensor->data + first * sizeof(uint16_t);
        const uint16_t *source = (const uint16_t *)(const void *)bytes;
        if ((uintptr_t)bytes % sizeof *source != 0) source = memcpy(buffer, bytes, count * sizeof *source);
        bad = bad_bf16(source, count);
        strata_matrix_set_rows_bf16(row->matrix, row->first_row + first_row, rows, source);
        return bad == count ? SIZE_MAX : first + bad;
    }
    float *target = row->matrix ? buffer : row->vector;
    (void)strata_tensor_floats(target, tensor, first, count, NULL); /* dtype and range were checked */
    bad = bad_float(target, count, row->matrix ? load->type : STRATA_WEIGHT_F32);
    if (row->matrix) strata_matrix_set_rows(row->matrix, row->first_row + first_row, rows, target);
    return bad == count ? SIZE_MAX : first + bad;
}

static void load_piece(void *context, const struct strata_weight_piece *piece, size_t index, float *buffer) {
    const struct load *load = context;
    const size_t chunk = strata_weight_chunk_rows(piece->K);
    load->bad[index] = SIZE_MAX;
    for (size_t done = 0; done < piece->rows; done += chunk) {
        size_t rows = piece->rows - done < chunk ? piece->rows - done : chunk;
        size_t bad = load_rows(load, piece, piece->first + done, rows, buffer);
        if (bad < load->bad[index]) load->bad[index] = bad;
    }
    strata_safetensors_release_part(load->file, load->tensors[piece->index], piece->first * piece->K,
                                    piece->rows * piece->K);
}

static int report_bad(const struct load *load, const struct strata_weight_piece *pieces, size_t count,
                      struct strata_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (load->bad[i] == SIZE_MAX) continue;
        const struct strata_tensor *tensor = load->tensors[pieces[i].index];
        float value = 0;
        (void)strata_tensor_floats(&value, tensor, load->bad[i], 1, NULL);
        strata_fail(err, STRATA_ERR_NUMERIC, "tensor '%.200s': element %zu is %g%s", tensor->name, load->bad[i],
                    (double)value, value - value == 0 ? ", too large for bf16" : "");
        return strata_fail_at(err, STRATA_ERR_NUMERIC, "%s", strata_safetensors_path(load->file, tensor));
    }
    return STRATA_OK;
}

static int load_pieces(struct load *load, size_t row_count, struct strata_threads *threads, struct strata_error *err) {
    struct strata_weight_piece *pieces;
    size_t count;
    int code = strata_weight_pieces(&pieces, &count, load->rows, row_count, err);
    if (!code) code = strata_alloc(&load->bad, count, sizeof *load->bad, err);
    if (!code) code = strata_weight_pieces_run(pieces, count, load_piece, load, threads, err);
    if (!code) code = report_bad(load, pieces, count, err);
    free(load->bad);
    free(pieces);
    return code;
}

int strata_weights_load_threads(struct strata_weights *out, const struct strata_model_config *config,
                                const struct strata_safetensors *file, enum strata_weight_type type,
                                struct strata_threads *threads, struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    const struct strata_tensor **tensors = NULL;
    size_t row_count = 0;
    *out = (struct strata_weights){0};
    /* Names and shapes are checked before the memory is taken: a config that does not fit its file fails at once. */
    int code = strata_weights_table(&rows, &row_count, config, NULL, err);
    if (!code)
        code = strata_alloc(&tensors, row_count + 1, sizeof *tensors, err); /* NOLINT(bugprone-sizeof-expression) */
    if (!code) code = find_tensors(tensors, rows, row_count, config, file, err);
    free(rows);
    rows = NULL;
    if (!code) code = strata_weights_make(out, config, type, strata_matrix_reserve, err);
    if (!code) code = strata_weights_table(&rows, &row_count, config, out, err);
    if (!code) {
        struct load load = {.rows = rows, .tensors = tensors, .file = file, .type = type};
        code = load_pieces(&load, row_count, threads, err);
    }
    free(rows);
    free(tensors);
    if (code) strata_weights_free(out, config);
    return code;
}

int strata_weights_load(struct strata_weights *out, const struct strata_model_config *config,
                        const struct strata_safetensors *file, enum strata_weight_type type, struct strata_error *err) {
    return strata_weights_load_threads(out, config, file, type, NULL, err);
}
