#include "report/html.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

static bool is_allowed(int32_t code) {
    if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
    return code != 0x7F && code != 0xFFFE && code != 0xFFFF;
}

void strata_html_escape(struct strata_buffer *out, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text + at, length - at);
        if (code == '&')
            strata_buffer_text(out, "&amp;");
        else if (code == '<')
            strata_buffer_text(out, "&lt;");
        else if (code == '>')
            strata_buffer_text(out, "&gt;");
        else if (code == '"')
            strata_buffer_text(out, "&quot;");
        else if (code == '\'')
            strata_buffer_text(out, "&#39;");
        else if (!is_allowed(code))
            strata_utf8_append(out, 0xFFFD);
        else
            strata_buffer_append(out, text + at, size);
        at += size;
    }
}

void strata_html_text(struct strata_buffer *out, const char *text) {
    if (text) strata_html_escape(out, text, strlen(text));
}

void strata_html_printf(struct strata_buffer *out, const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        out->failed = true;
        return;
    }
    strata_html_escape(out, text, (size_t)length);
    free(text);
}

void strata_html_json(struct strata_buffer *out, const char *id, const json_t *value) {
    struct strata_buffer line = {0};
    strata_json_write(&line, value);
    strata_buffer_printf(out, "<script type=\"application/json\" id=\"%s\">", id);
    /* In JSON these stand inside strings only, where the escape means the same. */
    for (size_t i = 0; i < line.length; i++) {
        char byte = line.data[i];
        if (byte == '<' || byte == '>' || byte == '&')
            strata_buffer_printf(out, "\\u%04x", (unsigned)byte);
        else
            strata_buffer_byte(out, (unsigned char)byte);
    }
    strata_buffer_text(out, "</script>\n");
    out->failed |= line.failed;
    strata_buffer_free(&line);
}

void strata_html_png_url(struct strata_buffer *out, const void *png, size_t length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *bytes = png;
    strata_buffer_text(out, "data:image/png;base64,");
    for (size_t at = 0; at < length; at += 3) {
        size_t left = length - at;
        uint32_t group = (uint32_t)bytes[at] << 16;
        if (left > 1) group |= (uint32_t)bytes[at + 1] << 8;
        if (left > 2) group |= bytes[at + 2];
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63], digits[group & 63]};
        if (left < 3) text[3] = '=';
        if (left < 2) text[2] = '=';
        strata_buffer_append(out, text, sizeof text);
    }
}

void strata_html_begin(struct strata_buffer *out, const char *title) {
    strata_buffer_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                            "<meta name=\"color-scheme\" content=\"light dark\">\n"
                            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                            "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                            "<link rel=\"icon\" href=\"data:,\">\n<title>");
    strata_html_text(out, title);
    strata_buffer_text(out, "</title>\n<style>\n");
    strata_buffer_text(out, strata_page_css);
    strata_buffer_text(out, "</style>\n</head>\n<body>\n<main>\n");
}

void strata_html_end(struct strata_buffer *out) {
    strata_buffer_text(out, "</main>\n<script>\n");
    strata_buffer_text(out, strata_page_js);
    strata_buffer_text(out, "</script>\n</body>\n</html>\n");
}
