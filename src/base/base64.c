#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void strata_base64_encode(struct strata_buffer *out, const void *bytes, size_t length) {
    const unsigned char *in = bytes;
    char piece[1024];
    size_t used = 0;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        piece[used++] = alphabet[bits >> 18];
        piece[used++] = alphabet[bits >> 12 & 63];
        piece[used++] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        piece[used++] = left > 2 ? alphabet[bits & 63] : '=';
        if (used == sizeof piece) {
            strata_buffer_append(out, piece, used);
            used = 0;
        }
    }
    strata_buffer_append(out, piece, used);
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int strata_base64_decode(struct strata_buffer *out, const char *text, size_t length, struct strata_error *err) {
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < length && text[i] != '='; i++) {
        if (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r')) continue;
        int value = value_of(text[i]);
        if (value < 0) return strata_fail(err, STRATA_ERR_INPUT, "no base64 character at offset %zu", i);
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        strata_buffer_byte(out, (unsigned char)(bits >> have));
    }
    return strata_buffer_check(out, err);
}
