/* A value of a Parquet column as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "data/parquet.h"
#include "data/parquet_encoding.h"

#define DECIMAL_BYTES 32 /* 76 digits, the most that a scale can be of */
#define DAY_SECONDS   86400

static json_t *text(const struct strata_buffer *buffer) {
    return buffer->failed ? NULL : json_stringn(strata_buffer_string(buffer), buffer->length);
}

/* ---- decimals ---- */

/* The digits of a big-endian two's complement number, a point before the last `scale` of them. */
static void write_decimal(struct strata_buffer *out, const unsigned char *bytes, size_t length, unsigned scale) {
    unsigned char magnitude[DECIMAL_BYTES], digits[3 * DECIMAL_BYTES];
    size_t count = 0;
    bool negative = length && bytes[0] & 0x80;
    unsigned carry = negative;
    for (size_t i = length; i-- > 0;) { /* two's complement: all bits turned, plus one */
        carry += negative ? (unsigned char)~bytes[i] : bytes[i];
        magnitude[i] = (unsigned char)carry;
        carry >>= 8;
    }
    for (bool more = true; more;) {
        unsigned rest = 0;
        more = false;
        for (size_t i = 0; i < length; i++) {
            unsigned part = rest << 8 | magnitude[i];
            magnitude[i] = (unsigned char)(part / 10);
            rest = part % 10;
            more |= magnitude[i] != 0;
        }
        digits[count++] = (unsigned char)('0' + rest);
    }
    while (count <= scale) digits[count++] = '0';
    if (negative) strata_buffer_byte(out, '-');
    while (count-- > 0) {
        strata_buffer_byte(out, digits[count]);
        if (count == scale && scale) strata_buffer_byte(out, '.');
    }
}

static json_t *decimal(const struct strata_parquet_node *node, const struct strata_parquet_value *value) {
    struct strata_buffer digits = {0};
    unsigned char bytes[8];
    if (node->type == STRATA_PARQUET_INT32 || node->type == STRATA_PARQUET_INT64) {
        for (unsigned i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)value->integer >> (56 - 8 * i));
        write_decimal(&digits, bytes, 8, node->scale);
    } else if (value->length <= DECIMAL_BYTES) {
        write_decimal(&digits, value->bytes, value->length, node->scale);
    } else {
        strata_base64_encode(&digits, value->bytes, value->length);
    }
    json_t *json = text(&digits);
    strata_buffer_free(&digits);
    return json;
}

/* ---- dates and times ---- */

static int64_t floor_divide(int64_t *rest, int64_t value, int64_t divisor) {
    int64_t quotient = value / divisor;
    *rest = value % divisor;
    if (*rest < 0) {
        *rest += divisor;
        quotient--;
    }
    return quotient;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar: eras of 400 years that begin on a 1st of March. */
static void write_date(struct strata_buffer *out, int64_t days) {
    int64_t day_of_era, era = floor_divide(&day_of_era, days + 719468, 146097);
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * month + 2) / 5 + 1;
    int64_t year = year_of_era + 400 * era + (month >= 10);
    strata_buffer_printf(out, "%04lld-%02d-%02d", (long long)year, (int)(month < 10 ? month + 3 : month - 9), (int)day);
}

/* A time of day in 10^-digits seconds. */
static void write_time(struct strata_buffer *out, int64_t value, unsigned digits) {
    int64_t units = digits == 9 ? 1000000000 : digits == 6 ? 1000000 : 1000, fraction;
    int seconds = (int)(floor_divide(&fraction, value, units) % DAY_SECONDS);
    strata_buffer_printf(out, "%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if (fraction) strata_buffer_printf(out, ".%0*lld", (int)digits, (long long)fraction);
}

static void write_timestamp(struct strata_buffer *out, int64_t value, unsigned digits, bool utc) {
    int64_t units = digits == 9 ? 1000000000 : digits == 6 ? 1000000 : 1000, time;
    write_date(out, floor_divide(&time, value, units * DAY_SECONDS));
    strata_buffer_byte(out, 'T');
    write_time(out, time, digits);
    if (utc) strata_buffer_byte(out, 'Z');
}

/* INT96: nanoseconds of a day, and its Julian day number. */
static void write_int96(struct strata_buffer *out, const unsigned char *bytes) {
    uint64_t nanoseconds = 0, day = 0;
    for (unsigned i = 0; i < 8; i++) nanoseconds |= (uint64_t)bytes[i] << 8 * i;
    for (unsigned i = 0; i < 4; i++) day |= (uint64_t)bytes[8 + i] << 8 * i;
    write_date(out, (int64_t)day - 2440588);
    strata_buffer_byte(out, 'T');
    write_time(out, (int64_t)(nanoseconds % ((uint64_t)DAY_SECONDS * 1000000000)), 9);
}

/* ---- bytes ---- */

static void write_uuid(struct strata_buffer *out, const unsigned char *bytes) {
    for (unsigned i = 0; i < 16; i++)
        strata_buffer_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
}

static double half(const unsigned char *bytes) {
    unsigned bits = (unsigned)bytes[0] | (unsigned)bytes[1] << 8;
    int exponent = (int)(bits >> 10 & 31);
    double fraction = (double)(bits & 1023), value;
    if (exponent == 31) return NAN;
    value = exponent ? ldexp(fraction + 1024, exponent - 25) : ldexp(fraction, -24);
    return bits >> 15 ? -value : value;
}

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *integer(const struct strata_parquet_node *node, int64_t value) {
    struct strata_buffer digits = {0};
    if (node->meaning != STRATA_MEANING_UNSIGNED) return json_integer(value);
    if (node->type == STRATA_PARQUET_INT32) return json_integer((int64_t)(uint32_t)(uint64_t)value);
    if (value >= 0) return json_integer(value);
    strata_buffer_printf(&digits, "%llu", (unsigned long long)(uint64_t)value); /* JSON's integers end before */
    json_t *json = text(&digits);
    strata_buffer_free(&digits);
    return json;
}

int strata_parquet_json(json_t **out, const struct strata_parquet_node *node, const struct strata_parquet_value *value,
                        struct strata_error *err) {
    struct strata_buffer buffer = {0};
    size_t offset;
    *out = NULL;
    if (node->meaning == STRATA_MEANING_TEXT) {
        if (!strata_utf8_valid((const char *)value->bytes, value->length, &offset))
            return strata_fail(err, STRATA_ERR_INPUT, "the text of column \"%.120s\" is not UTF-8", node->name);
        *out = json_stringn_nocheck((const char *)value->bytes, value->length);
    } else if (node->meaning == STRATA_MEANING_DECIMAL) {
        *out = decimal(node, value);
    } else if (node->meaning == STRATA_MEANING_FLOAT16) {
        *out = real(half(value->bytes));
    } else if (node->type == STRATA_PARQUET_BOOLEAN) {
        *out = json_boolean(value->integer);
    } else if (node->type == STRATA_PARQUET_FLOAT || node->type == STRATA_PARQUET_DOUBLE) {
        *out = real(value->real);
    } else if (node->type == STRATA_PARQUET_INT96) {
        write_int96(&buffer, value->bytes);
    } else if (node->meaning == STRATA_MEANING_DATE) {
        write_date(&buffer, value->integer);
    } else if (node->meaning == STRATA_MEANING_TIME) {
        write_time(&buffer, value->integer, node->unit);
    } else if (node->meaning == STRATA_MEANING_TIMESTAMP) {
        write_timestamp(&buffer, value->integer, node->unit, node->utc);
    } else if (node->type == STRATA_PARQUET_INT32 || node->type == STRATA_PARQUET_INT64) {
        *out = integer(node, value->integer);
    } else if (node->meaning == STRATA_MEANING_UUID) {
        write_uuid(&buffer, value->bytes);
    } else {
        strata_base64_encode(&buffer, value->bytes, value->length);
        if (!buffer.failed) *out = json_stringn_nocheck(strata_buffer_string(&buffer), buffer.length);
    }
    if (!*out && buffer.length) *out = text(&buffer);
    strata_buffer_free(&buffer);
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}
