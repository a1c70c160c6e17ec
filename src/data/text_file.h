/* Private to the data sets: a text file read once from front to back in bounded memory, plain or compressed by gzip or
 * zstd (told by content; several gzip members or zstd frames in a row are one text). A leading byte order mark is
 * passed over. */
#ifndef STRATA_DATA_TEXT_FILE_H
#define STRATA_DATA_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "strata/error.h"

#define STRATA_RECORD_LIMIT ((size_t)1 << 28) /* a longer record is none, but a file of another kind */

struct strata_text_file;

int strata_text_open(struct strata_text_file **out, const char *path, struct strata_error *err);
void strata_text_close(struct strata_text_file *file); /* NULL is allowed */
const char *strata_text_path(const struct strata_text_file *file);
const char *strata_text_compression(struct strata_text_file *file); /* "gzip", "zstd", NULL; after the first peek */

/* *bytes[0..*length): what follows, as far as it is in memory; empty only at the end. Valid until the next call. */
int strata_text_peek(const char **bytes, size_t *length, struct strata_text_file *file, struct strata_error *err);
/* Passes over `length` bytes of the last peek; strata_text_line_number counts the newlines among them. */
void strata_text_skip(struct strata_text_file *file, size_t length);
size_t strata_text_line_number(const struct strata_text_file *file); /* of the next byte, from 1 */

/* The next line into `line` (cleared first), without its newline. *got false at the end. */
int strata_text_line(struct strata_buffer *line, bool *got, struct strata_text_file *file, struct strata_error *err);

/* STRATA_ERR_UNSUPPORTED at line `number`: a record is longer than the limit. */
int strata_text_too_long(const struct strata_text_file *file, size_t number, struct strata_error *err);

#endif
