/* JSONL: one JSON object a line. Memory is one line, however long the file. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"

struct jsonl {
    struct strata_source source;
    struct strata_buffer line;
};

static bool is_blank(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!strchr(" \t\r\f\v", text[i]) || !text[i]) return false;
    return true;
}

static int next(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err) {
    struct jsonl *file = (struct jsonl *)source;
    *record = NULL;
    do {
        *line = strata_text_line_number(source->file);
        int code = strata_text_line(&file->line, got, source->file, err);
        if (code || !*got) return code;
    } while (is_blank(strata_buffer_string(&file->line), file->line.length));
    return wanted ? strata_source_object(record, &file->line, source, *line, err) : 0;
}

static void close_source(struct strata_source *source) {
    struct jsonl *file = (struct jsonl *)source;
    strata_buffer_free(&file->line);
    free(file);
}

int strata_source_jsonl(struct strata_source **out, struct strata_error *err) {
    struct jsonl *file;
    *out = NULL;
    int code = strata_alloc(&file, 1, sizeof *file, err);
    if (code) return code;
    file->source = (struct strata_source){.next = next, .close = close_source, .layout = "JSONL"};
    *out = &file->source;
    return 0;
}
