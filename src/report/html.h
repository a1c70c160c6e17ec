/* Pieces of a self-contained HTML page: escaping for each place where foreign text may stand, embedded images, and the
 * frame. Everything is appended to a buffer; see strata_buffer_check. */
#ifndef STRATA_REPORT_HTML_H
#define STRATA_REPORT_HTML_H

#include <jansson.h>
#include <stddef.h>

#include "base/buffer.h"

/* Text for element content and quoted attributes of HTML and XML: & < > " ' escaped; what is not UTF-8, or no character
 * that XML 1.0 allows (controls, U+FFFE, U+FFFF), becomes U+FFFD. */
void strata_html_escape(struct strata_buffer *out, const char *text, size_t length);
void strata_html_text(struct strata_buffer *out, const char *text); /* the same, NUL-terminated; NULL is "" */
/* printf of which the result is escaped. */
void strata_html_printf(struct strata_buffer *out, const char *format, ...) STRATA_PRINTF(2, 3);

/* <script type="application/json" id="ID">: no text in the value can end the element. `id` is a plain identifier. */
void strata_html_json(struct strata_buffer *out, const char *id, const json_t *value);
/* data:image/png;base64,… */
void strata_html_png_url(struct strata_buffer *out, const void *png, size_t length);

/* Doctype to <main>, with the style sheet; and </main> to the end, with the script. The page's content security policy
 * forbids every request to anywhere. */
void strata_html_begin(struct strata_buffer *out, const char *title);
void strata_html_end(struct strata_buffer *out);

/* page.css and page.js, made part of the program by the build. NUL-terminated. */
extern const char strata_page_css[], strata_page_js[];

#endif
