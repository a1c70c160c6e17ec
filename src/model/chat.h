/* What chat.c and prompt.c share about ChatML. Private to the two: the door is prompt.h. */
#ifndef STRATA_MODEL_CHAT_H
#define STRATA_MODEL_CHAT_H

#include <stddef.h>

#include "data/sample.h"
#include "strata/error.h"

#define STRATA_IMAGE_MARK     "<image>"
#define STRATA_DEFAULT_SYSTEM "You are a helpful assistant."

const char *strata_role_name(enum strata_role role);
/* Refuses text that is not UTF-8, and vision placeholder tokens written out in it. */
int strata_message_check(const struct strata_message *message, size_t index, struct strata_error *err);
/* The next image mark in `text`, a part of the message's text, or NULL; what an assistant wrote is only text. */
const char *strata_message_image(const struct strata_message *message, const char *text);

#endif
