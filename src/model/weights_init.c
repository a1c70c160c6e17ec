/* Fresh weights: a pure function of (seed, tensor name, element), so that threads and order cannot matter. */
#include <stdlib.h>
#include <string.h>

#include "base/elementary.h"
#include "base/random.h"
#include "model/weights_pieces.h"

/* Elements [first, first+count) of the tensor that `random` stands for: standard normals by Box-Muller. One Philox
 * block gives four, because a new model of 10^8 weights should take seconds. */
static void normals(float *out, const struct strata_random *random, double deviation, uint64_t first, size_t count) {
    const double step = 6.283185307179586476925 * 0x1p-32;
    double four[4] = {0};
    for (size_t i = 0; i < count; i++) {
        const uint64_t element = first + i;
        if (i == 0 || element % 4 == 0) {
            const uint64_t block = element / 4;
            uint32_t words[4];
            strata_philox(
                words,
                (const uint32_t[4]){(uint32_t)block, (uint32_t)(block >> 32), random->counter[0], random->counter[1]},
                random->key);
            for (size_t pair = 0; pair < 2; pair++) {
                double sine, cosine; /* the half keeps the logarithm away from 0 */
                double radius = __builtin_sqrt(-2.0 * strata_log(((double)words[2 * pair] + 0.5) * 0x1p-32));
                strata_sincos(&sine, &cosine, step * (double)words[2 * pair + 1]);
                four[2 * pair] = radius * cosine;
                four[2 * pair + 1] = radius * sine;
            }
        }
        out[i] = (float)(deviation * four[element % 4]);
    }
}

struct fill {
    const struct strata_weight_row *rows;
    double deviation;
    uint64_t seed;
};

static void fill_piece(void *context, const struct strata_weight_piece *piece, size_t index, float *buffer) {
    const struct fill *fill = context;
    const struct strata_weight_row *row = &fill->rows[piece->index];
    (void)index;
    if (!row->matrix) {
        float value = strstr(row->name, "bias") ? 0.0f : 1.0f;
        for (size_t i = 0; i < piece->K; i++) row->vector[i] = value;
        return;
    }
    const struct strata_random random = strata_random_make(fill->seed, row->name, STRATA_PURPOSE_INIT, 0, 0);
    const size_t chunk = strata_weight_chunk_rows(piece->K);
    for (size_t done = 0; done < piece->rows; done += chunk) {
        size_t rows = piece->rows - done < chunk ? piece->rows - done : chunk, first = piece->first + done;
        normals(buffer, &random, fill->deviation, (uint64_t)first * piece->K, rows * piece->K);
        strata_matrix_set_rows(row->matrix, row->first_row + first, rows, buffer);
    }
}

int strata_weights_init_threads(struct strata_weights *out, const struct strata_model_config *config,
                                double standard_deviation, uint64_t seed, enum strata_weight_type type,
                                struct strata_threads *threads, struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    struct strata_weight_piece *pieces = NULL;
    struct fill fill = {.deviation = standard_deviation, .seed = seed};
    size_t row_count = 0, piece_count = 0;
    *out = (struct strata_weights){0};
    if (!(standard_deviation > 0 && standard_deviation < 1e6))
        return strata_fail(err, STRATA_ERR_USAGE, "a standard deviation of %g", standard_deviation);
    int code = strata_weights_create(out, config, type, err);
    if (!code) code = strata_weights_table(&rows, &row_count, config, out, err);
    if (!code) code = strata_weight_pieces(&pieces, &piece_count, rows, row_count, err);
    fill.rows = rows;
    if (!code) code = strata_weight_pieces_run(pieces, piece_count, fill_piece, &fill, threads, err);
    free(pieces);
    free(rows);
    if (code) strata_weights_free(out, config);
    return code;
}

int strata_weights_init(struct strata_weights *out, const struct strata_model_config *config, double standard_deviation,
                        uint64_t seed, enum strata_weight_type type, struct strata_error *err) {
    return strata_weights_init_threads(out, config, standard_deviation, seed, type, NULL, err);
}
