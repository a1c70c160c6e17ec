/* Backward of the language model, layer by layer from the last; the forward's lines are quoted beside their gradients.
 * dx is the gradient of the residual stream, in place: a layer adds to it what comes through its two branches. */
#include <string.h>

#include "model/tape_private.h"

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- head ---- */

/* logp = logits[id] / temperature - lse:  dlogits = dlogp / temperature (onehot(id) - softmax). A row's softmax is
 * shared by all its targets. dlse (U) takes minus the sum of their dlogps. */
static void sum_targets(struct strata_tape *tape, const struct strata_tape_group *groups) {
    for (size_t u = 0; u < tape->U; u++) {
        float sum = 0.0f;
        for (size_t i = tape->target_begin[u]; i < tape->target_begin[u + 1]; i++) {
            const struct strata_tape_target *target = &tape->targets[i];
            sum += groups[target->group].responses[target->response].dlogps[target->token];
        }
        tape->dlse[u] = -sum;
    }
}
static void add_onehots(struct strata_tape *tape, const struct strata_tape_group *groups, size_t begin, size_t count) {
    for (size_t u = 0; u < tape->U; u++)
        for (size_t i = tape->target_begin[u]; i < tape->target_begin[u + 1]; i++) {
            const struct strata_tape_target *target = &tape->targets[i];
            const size_t id = (size_t)target->id;
            if (id < begin || id >= begin + count) continue;
            const float dlogp = groups[target->group].responses[target->response].dlogps[target->token];
            tape->logits[u * count + id - begin] += dlogp / tape->temperature;
        }
}

/* Outputs [begin, begin + count) of a matrix, begin a multiple of the panel. */
static struct strata_matrix part_of(const struct strata_matrix *matrix, size_t begin, size_t count) {
    const bool wide = matrix->type == STRATA_WEIGHT_F32;
    const size_t K = wide ? matrix->K : matrix->K + matrix->K % 2;
    struct strata_matrix part = *matrix;
    part.N = count;
    part.panels = (char *)matrix->panels + begin * K * (wide ? sizeof(float) : sizeof(uint16_t));
    return part;
}

/* Forward: normed = rmsnorm(hidden[row]); logits = normed head^T. The head is taken a part of the vocabulary at a time:
 * logits again, their gradient in place, its two products. Parts are whole blocks of the products' sums, so that their
 * size does not show in the result. */
static void head_backward(struct strata_tape *tape, struct strata_gradients *g,
                          const struct strata_tape_group *groups) {
    const struct strata_compute *compute = tape->compute;
    const struct strata_matrix *head = strata_tape_head(tape);
    float *dhead = tape->config->text.tied ? g->embedding : g->head;
    const size_t U = tape->U, C = tape->C, V = tape->V;
    const size_t most = tape->logit_floats / (U ? U : 1) / STRATA_K_BLOCK * STRATA_K_BLOCK;
    memset(tape->dx, 0, tape->T * C * sizeof *tape->dx);
    if (U == 0) return;
    sum_targets(tape, groups);
    for (size_t begin = 0; begin < V; begin += most) {
        const size_t count = smaller(most, V - begin);
        const struct strata_matrix part = part_of(head, begin, count);
        strata_linear_forward(compute, tape->logits, count, tape->scored_normed, C, &part, NULL, U, false);
        strata_logsumexp_backward(compute, tape->logits, tape->logits, count, tape->lse, tape->dlse, tape->temperature,
                                  U, count);
        add_onehots(tape, groups, begin, count);
        strata_linear_backward_weight(compute, dhead ? dhead + begin * C : NULL, tape->logits, count,
                                      tape->scored_normed, C, head->type, U, count, C);
        strata_linear_backward_input(compute, tape->scored_dnormed, C, tape->logits, count, &part, U, begin > 0);
    }
    strata_rmsnorm_backward(compute, tape->scored_dnormed, g->final_norm, tape->scored_dnormed, tape->scored_x,
                            tape->scored_rstd, tape->weights->final_norm, U, C, false);
    for (size_t u = 0; u < U; u++)
        memcpy(tape->dx + tape->scored_rows[u] * C, tape->scored_dnormed + u * C, C * sizeof *tape->dx);
}

/* ---- layers ---- */

/* Forward, in chunks of rows:
 *   normed = rmsnorm(middle, post_norm);  gate_up = normed Wgu^T;  inner = swiglu(gate_up);  x' = middle + inner Wd^T
 */
static void mlp_backward(struct strata_tape *tape, struct strata_layer_gradients *g, size_t index) {
    const struct strata_tape_layer *layer = &tape->layers[index];
    const struct strata_decoder_layer *weights = &tape->weights->layers[index];
    const struct strata_compute *compute = tape->compute;
    const size_t C = tape->C, F = tape->F;
    for (size_t row = 0; row < tape->T; row += STRATA_TAPE_CHUNK) {
        const size_t rows = smaller(STRATA_TAPE_CHUNK, tape->T - row);
        float *dx = tape->dx + row * C, *gate_up = strata_tape_gate_up(tape, index, row, rows, true);
        if (g->down) {
            strata_swiglu_forward(compute, tape->inner, F, gate_up, 2 * F, gate_up + F, 2 * F, rows, F);
            strata_linear_backward_weight(compute, g->down, dx, C, tape->inner, F, weights->down.type, rows, C, F);
        }
        strata_linear_backward_input(compute, tape->dinner, F, dx, C, &weights->down, rows, false);
        strata_swiglu_backward(compute, gate_up, gate_up + F, 2 * F, tape->dinner, F, gate_up, gate_up + F, 2 * F, rows,
                               F);
        strata_linear_backward_weight(compute, g->gate_up, gate_up, 2 * F, tape->normed, C, weights->gate_up.type, rows,
                                      2 * F, C);
        strata_linear_backward_input(compute, tape->dnormed, C, gate_up, 2 * F, &weights->gate_up, rows, false);
        strata_rmsnorm_backward(compute, dx, g->post_norm, tape->dnormed, layer->middle + row * C, tape->rstd,
                                weights->post_norm, rows, C, true);
    }
}

/* Forward: normed = rmsnorm(x, input_norm);  qkv = rope(normed Wqkv^T + bias);  attention;  middle = x + attention Wo^T
 */
static void attention_backward(struct strata_tape *tape, struct strata_layer_gradients *g, size_t index) {
    const struct strata_tape_layer *layer = &tape->layers[index];
    const struct strata_decoder_layer *weights = &tape->weights->layers[index];
    const struct strata_compute *compute = tape->compute;
    const size_t T = tape->T, C = tape->C, Q = tape->Q, W = tape->W, KV = tape->G * tape->D;
    float *dqkv = tape->dquery_key_value;
    if (layer->kept_query_key_value)
        strata_tape_widen(tape, layer->query_key_value, layer->kept_query_key_value, T * W);
    strata_linear_backward_weight(compute, g->output, tape->dx, C, layer->attention, Q, weights->output.type, T, C, Q);
    strata_linear_backward_input(compute, tape->dattention, Q, tape->dx, C, &weights->output, T, false);
    const struct strata_attention_backward call = {.dquery = dqkv,
                                                   .dkey = dqkv + Q,
                                                   .dvalue = dqkv + Q + KV,
                                                   .d_stride = W,
                                                   .query = layer->query_key_value,
                                                   .key = layer->query_key_value + Q,
                                                   .value = layer->query_key_value + Q + KV,
                                                   .stride = W,
                                                   .out = layer->attention,
                                                   .dout = tape->dattention,
                                                   .logsumexp = layer->logsumexp,
                                                   .delta = tape->delta,
                                                   .spans = tape->spans,
                                                   .count = tape->span_count,
                                                   .H = tape->H,
                                                   .G = tape->G,
                                                   .D = tape->D,
                                                   .causal = true,
                                                   .scale = 1.0f / __builtin_sqrtf((float)tape->D)};
    strata_attention_backward(compute, &call);
    strata_rope_backward(compute, dqkv, W, tape->cosines, tape->sines, T, tape->H, tape->D);
    strata_rope_backward(compute, dqkv + Q, W, tape->cosines, tape->sines, T, tape->G, tape->D);
    strata_bias_backward(compute, g->query_key_value_bias, dqkv, W, T, W);
    for (size_t row = 0; row < T; row += STRATA_TAPE_CHUNK) {
        const size_t rows = smaller(STRATA_TAPE_CHUNK, T - row);
        const float *x = layer->x + row * C;
        strata_rmsnorm_forward(compute, tape->normed, tape->rstd, x, weights->input_norm, tape->config->text.rms_eps,
                               rows, C);
        strata_linear_backward_weight(compute, g->query_key_value, dqkv + row * W, W, tape->normed, C,
                                      weights->query_key_value.type, rows, W, C);
        strata_linear_backward_input(compute, tape->dnormed, C, dqkv + row * W, W, &weights->query_key_value, rows,
                                     false);
        strata_rmsnorm_backward(compute, tape->dx + row * C, g->input_norm, tape->dnormed, x, tape->rstd,
                                weights->input_norm, rows, C, true);
    }
}

/* ---- embeddings ---- */

/* Forward: x = embedding[id], or the image's next feature. */
static void embeds_backward(struct strata_tape *tape, const struct strata_tape_group *groups, size_t count) {
    struct strata_tape_place place = {0};
    while (strata_tape_next(&place, groups, count)) {
        float *dembeds = place.part->dembeds;
        for (size_t row = place.first; dembeds && row < place.first + place.rows; row++) {
            if (tape->ids[row] >= 0) continue;
            memcpy(dembeds, tape->dx + row * tape->C, tape->C * sizeof *dembeds);
            dembeds += tape->C;
        }
    }
}

int strata_tape_backward(struct strata_tape *tape, struct strata_gradients *gradients,
                         const struct strata_tape_group *groups, size_t count, struct strata_error *err) {
    if (!tape->ready) return strata_fail(err, STRATA_ERR_STATE, "there is no kept forward to go back from");
    tape->ready = false;
    head_backward(tape, gradients, groups);
    for (size_t index = tape->L; index-- > 0;) {
        if (tape->options.level == STRATA_TAPE_LAYERS) strata_tape_attention(tape, index);
        mlp_backward(tape, &gradients->layers[index], index);
        attention_backward(tape, &gradients->layers[index], index);
    }
    strata_embedding_backward(tape->compute, gradients->embedding, tape->dx, tape->ids, tape->T, tape->C);
    embeds_backward(tape, groups, count);
    return STRATA_OK;
}
