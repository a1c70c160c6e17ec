/* GRPO's reference: the frozen model that the policy started from, needed for a moment after each rollout.
 *
 * It holds no memory of its own in between: its packed weights are a file in OUT/reference, mapped, and while it
 * computes they stand in the memory of the gradients, which is zero then. Private to this room. */
#ifndef STRATA_TRAIN_REFERENCE_H
#define STRATA_TRAIN_REFERENCE_H

#include "kernels/kernels.h"
#include "model/gradient.h"
#include "model/model.h"
#include "strata/error.h"

struct strata_reference {
    struct strata_model *model; /* NULL: there is none */
    char *directory;            /* of the file; NULL: it could not be written, the weights are in memory */
    struct strata_weight_row *rows;
    size_t row_count;
    void **mapped;                   /* (row_count) where the file has the matrix that begins there, or NULL */
    struct strata_gradients *lender; /* while its weights stand there */
};
/* The model in `path`, its matrices kept as `type`; the file goes below `out`. */
int strata_reference_open(struct strata_reference *reference, const char *path,
                          const struct strata_model_options *options, const char *out, struct strata_error *err);
/* `removes`: the file goes too (one process of several). */
void strata_reference_close(struct strata_reference *reference, bool removes);
/* From here to _end the language model's matrices are in memory: that of `gradients`, which must be zero and are again
 * afterwards, where they have the room; else they are read from the file as they are needed. */
int strata_reference_begin(struct strata_reference *reference, struct strata_gradients *gradients,
                           struct strata_threads *threads, struct strata_error *err);
void strata_reference_end(struct strata_reference *reference);

#endif
