/* Text as code points, with the character classes of Python 3.11's str and re: what the compatible modes are written
 * against. Bytes that are not UTF-8 become points above U+10FFFF (they match nothing and compare equal to themselves).
 */
#ifndef STRATA_VERIFY_POINTS_H
#define STRATA_VERIFY_POINTS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "verify/arena.h"
#include "verify/span.h"

struct strata_points {
    const int32_t *data;
    size_t length;
};
struct strata_points strata_points_decode(struct strata_arena *arena, struct strata_span text);
void strata_points_encode(struct strata_buffer *out, struct strata_points text);
struct strata_span strata_points_span(struct strata_arena *arena, struct strata_points text);

bool strata_point_digit(int32_t point);      /* \d */
bool strata_point_word(int32_t point);       /* \w */
int strata_point_digit_value(int32_t point); /* of a \d */

static inline struct strata_points strata_points_sub(struct strata_points text, size_t begin, size_t end) {
    return (struct strata_points){text.data + begin, end - begin};
}
struct strata_points strata_points_strip(struct strata_points text);                             /* str.strip */
struct strata_points strata_points_lower(struct strata_arena *arena, struct strata_points text); /* str.lower */
size_t strata_points_find(struct strata_points text, const char *ascii, size_t from);            /* str.find */
bool strata_points_at(struct strata_points text, size_t at, const char *ascii);
bool strata_points_at_nocase(struct strata_points text, size_t at, const char *ascii_lower);
bool strata_points_equal(struct strata_points a, struct strata_points b);
bool strata_points_contain(struct strata_points text, struct strata_points part); /* part in text */

#endif
