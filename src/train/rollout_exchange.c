/* What the ranks of a run tell each other of their rollouts. Both ends are the same program on the same kind of
 * machine: numbers travel as they lie in memory. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/rollout.h"

struct header {
    uint64_t index;
    int32_t status;
};
struct completion_header {
    uint64_t N, text_length;
    uint8_t truncated;
};

static void pack(struct strata_buffer *out, const struct strata_rollout *rollout, size_t index) {
    const struct strata_rollout_group *group = &rollout->groups[index];
    struct header header;
    memset(&header, 0, sizeof header); /* its padding too */
    header.index = index;
    header.status = group->status;
    strata_buffer_append(out, &header, sizeof header);
    if (group->status) {
        strata_buffer_append(out, &group->reason, sizeof group->reason);
        return;
    }
    strata_buffer_append(out, rollout->rewards + index * rollout->G, rollout->G * sizeof *rollout->rewards);
    for (size_t i = 0; i < rollout->G; i++) {
        const struct strata_completion *completion = &group->completions[i];
        struct completion_header own;
        memset(&own, 0, sizeof own);
        own.N = completion->N;
        own.text_length = strlen(completion->text);
        own.truncated = completion->truncated;
        strata_buffer_append(out, &own, sizeof own);
        strata_buffer_append(out, completion->ids, completion->N * sizeof *completion->ids);
        strata_buffer_append(out, completion->sampled, completion->N * sizeof *completion->sampled);
        strata_buffer_append(out, completion->text, own.text_length);
    }
}

/* Reads on in what came; false at its end. */
struct cursor {
    const char *data;
    size_t length, at;
};
static bool take(void *out, struct cursor *cursor, size_t bytes) {
    if (bytes > cursor->length - cursor->at) return false;
    memcpy(out, cursor->data + cursor->at, bytes);
    cursor->at += bytes;
    return true;
}

static int unpack_completion(struct strata_completion *completion, struct cursor *cursor, struct strata_error *err) {
    struct completion_header header;
    if (!take(&header, cursor, sizeof header)) return strata_fail(err, STRATA_ERR_STATE, "a rank's rollout is cut off");
    free(completion->ids);
    free(completion->sampled);
    free(completion->text);
    *completion = (struct strata_completion){.truncated = header.truncated};
    completion->N = (size_t)header.N;
    int code = strata_alloc(&completion->ids, completion->N, sizeof *completion->ids, err);
    if (!code) code = strata_alloc(&completion->sampled, completion->N, sizeof *completion->sampled, err);
    if (!code) code = strata_alloc(&completion->text, (size_t)header.text_length + 1, 1, err);
    if (!code && (!take(completion->ids, cursor, completion->N * sizeof *completion->ids) ||
                  !take(completion->sampled, cursor, completion->N * sizeof *completion->sampled) ||
                  !take(completion->text, cursor, (size_t)header.text_length)))
        code = strata_fail(err, STRATA_ERR_STATE, "a rank's rollout is cut off");
    return code;
}

/* The next group of what came. This rank's own come back too, in place of what they were. */
static int unpack(struct strata_rollout *rollout, struct cursor *cursor, struct strata_error *err) {
    struct header header;
    if (!take(&header, cursor, sizeof header) || header.index >= rollout->want)
        return strata_fail(err, STRATA_ERR_STATE, "a rank's rollout is cut off");
    struct strata_rollout_group *group = &rollout->groups[header.index];
    float *rewards = rollout->rewards + (size_t)header.index * rollout->G;
    group->status = header.status;
    if (header.status)
        return take(&group->reason, cursor, sizeof group->reason)
                   ? 0
                   : strata_fail(err, STRATA_ERR_STATE, "a rank's rollout is cut off");
    if (!take(rewards, cursor, rollout->G * sizeof *rewards))
        return strata_fail(err, STRATA_ERR_STATE, "a rank's rollout is cut off");
    int code = 0;
    for (size_t i = 0; !code && i < rollout->G; i++) code = unpack_completion(&group->completions[i], cursor, err);
    return code;
}

int strata_rollout_exchange(struct strata_rollout *rollout, struct strata_trainer *trainer, size_t prompts,
                            struct strata_error *err) {
    struct strata_buffer mine = {0}, all = {0};
    size_t first, last;
    if (!trainer->ranks) return 0;
    strata_trainer_own(&first, &last, trainer, prompts);
    for (size_t i = rollout->count; i < rollout->want; i++)
        if (i % prompts >= first && i % prompts < last) pack(&mine, rollout, i);
    int code = strata_ranks_exchange(trainer->ranks, &all, &mine, err);
    struct cursor cursor = {.data = all.data, .length = all.length};
    while (!code && cursor.at < cursor.length) code = unpack(rollout, &cursor, err);
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
    return code;
}
