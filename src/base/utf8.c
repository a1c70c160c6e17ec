#include "base/utf8.h"

size_t strata_utf8_next(int32_t *code, const char *text, size_t length) {
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char lead = bytes[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    *code = -1;
    /* The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF (RFC 3629 section 4). */
    unsigned char low = 0x80, high = 0xBF;
    size_t need;
    int32_t value;
    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 2;
        value = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
        need = 3;
        value = lead & 0x0F;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 4;
        value = lead & 0x07;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else {
        return 1;
    }
    for (size_t i = 1; i < need; i++) {
        if (i >= length || bytes[i] < low || bytes[i] > high) return i;
        value = value << 6 | (bytes[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *code = value;
    return need;
}

void strata_utf8_append(struct strata_buffer *out, int32_t code) {
    char bytes[4];
    size_t count;
    if (code < 0x80) {
        strata_buffer_byte(out, (unsigned char)code);
        return;
    }
    if (code < 0x800) {
        bytes[0] = (char)(0xC0 | code >> 6);
        count = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | code >> 12);
        count = 3;
    } else {
        bytes[0] = (char)(0xF0 | code >> 18);
        count = 4;
    }
    for (size_t i = count - 1; i >= 1; i--) {
        bytes[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    strata_buffer_append(out, bytes, count);
}

bool strata_utf8_valid(const char *text, size_t length, size_t *offset) {
    for (size_t i = 0; i < length;) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text + i, length - i);
        if (code < 0) {
            *offset = i;
            return false;
        }
        i += size;
    }
    return true;
}

void strata_utf8_append_lossy(struct strata_buffer *out, const char *text, size_t length) {
    size_t begin = 0; /* of the valid run not yet appended */
    for (size_t i = 0; i < length;) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text + i, length - i);
        if (code < 0) {
            strata_buffer_append(out, text + begin, i - begin);
            strata_buffer_append(out, "\xEF\xBF\xBD", 3);
            begin = i + size;
        }
        i += size;
    }
    strata_buffer_append(out, text + begin, length - begin);
}

void strata_utf8_strip(const char **text, size_t *length) {
    int32_t code;
    while (*length) {
        size_t size = strata_utf8_next(&code, *text, *length);
        if (!strata_utf8_space(code)) break;
        *text += size;
        *length -= size;
    }
    while (*length) {
        size_t begin = *length - 1;
        while (begin && ((unsigned char)(*text)[begin] & 0xC0) == 0x80) begin--;
        size_t size = strata_utf8_next(&code, *text + begin, *length - begin);
        /* A stray continuation byte behind white space is text. */
        if (begin + size != *length || !strata_utf8_space(code)) break;
        *length = begin;
    }
}
