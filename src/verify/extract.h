/* Where in a completion the answer stands (strict mode). Nothing is ever taken from the thinking part. */
#ifndef STRATA_VERIFY_EXTRACT_H
#define STRATA_VERIFY_EXTRACT_H

#include "base/buffer.h"
#include "verify/span.h"

enum strata_answer_source {
    STRATA_ANSWER_NONE,  /* nothing there, or the thinking never ended */
    STRATA_ANSWER_BOX,   /* the last \boxed{...} (neighbouring boxes are joined by commas) */
    STRATA_ANSWER_TAG,   /* the last <answer>...</answer>, without a box inside */
    STRATA_ANSWER_PROSE, /* neither: the whole text after the thinking */
};
struct strata_answer {
    enum strata_answer_source source;
    bool truncated;            /* an unclosed <think> */
    struct strata_span region; /* the text that may be read: the tag's content or what follows the thinking */
    struct strata_span text;   /* the answer: borrowed from the completion, or from `joined` */
};

/* The text after the last </think>; *open says that a <think> is never closed. */
struct strata_span strata_after_thinking(struct strata_span completion, bool *open);
/* `joined` holds the text of several joined boxes and must outlive the answer. */
struct strata_answer strata_extract_answer(struct strata_buffer *joined, struct strata_span completion);
/* The content of the box whose opening brace is at `brace`: [*begin, *end); false when it is never closed. */
bool strata_box_content(size_t *begin, size_t *end, struct strata_span text, size_t brace);

#endif
