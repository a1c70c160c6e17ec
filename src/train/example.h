/* A training example: a conversation as tokens with labels (training.md 2.3, 2.4).
 *
 * LLaMA-Factory's rule: what stands before an assistant's text is tokenised as one string, the text with its
 * "<|im_end|>\n" as another, so that no token reaches over the border; every assistant turn is a target, the newline
 * after <|im_end|> included. */
#ifndef STRATA_TRAIN_EXAMPLE_H
#define STRATA_TRAIN_EXAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "data/sample.h"
#include "model/model.h"
#include "model/prompt.h"
#include "strata/error.h"

#define STRATA_IGNORED (-100) /* label of a token that is not trained */

struct strata_example {
    int32_t *ids, *labels; /* (T); labels[t] is ids[t] or STRATA_IGNORED */
    size_t T;
    int32_t *positions; /* (3, T) */
    uint32_t *image_begin, *image_tokens;
    size_t image_count;
    size_t targets; /* labels that are not ignored; the first token can never be one */
};

/* messages end with an assistant turn. grids: one per image, in order of their "<image>" marks. A conversation without
 * an assistant turn, an empty assistant text and one longer than the model's context are STRATA_ERR_INPUT. */
int strata_example_build(struct strata_example *out, const struct strata_model *model,
                         const struct strata_message *messages, size_t count, const struct strata_grid *grids,
                         size_t image_count, struct strata_error *err);
void strata_example_free(struct strata_example *example);

#endif
