/* Base64 (RFC 4648, standard alphabet). */
#ifndef STRATA_BASE_BASE64_H
#define STRATA_BASE_BASE64_H

#include "base/buffer.h"

/* Appends the padded text of bytes[0..length). */
void strata_base64_encode(struct strata_buffer *out, const void *bytes, size_t length);
/* Appends the bytes of text[0..length); white space is skipped, everything after "=" ignored. STRATA_ERR_INPUT with the
 * offset of a character that is none of base64's. */
int strata_base64_decode(struct strata_buffer *out, const char *text, size_t length, struct strata_error *err);

#endif
