#include "cli/terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"

void strata_print_error(const char *command, const struct strata_error *err) {
    if (!err->what[0]) return;
    fflush(stdout);
    fprintf(stderr, "strata%s%s: %s\n", command ? " " : "", command ? command : "", err->what);
    if (err->where[0]) fprintf(stderr, "  where: %s\n", err->where);
    if (err->hint[0]) fprintf(stderr, "  hint:  %s\n", err->hint);
}

int strata_exit_status(int status) {
    switch (status) {
    case STRATA_OK:
        return 0;
    case STRATA_ERR_USAGE:
        return 2;
    case STRATA_ERR_INTERRUPTED:
        return 130;
    default:
        return 1;
    }
}

/* A signal handler can reach nothing but a static. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    if (interrupted) _exit(130);
    interrupted = 1;
    static const char message[] = "\nstopping and saving; once more to stop at once\n";
    ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
    (void)ignored;
}

const volatile sig_atomic_t *strata_interruptible(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &interrupted;
}

void strata_table_cell(struct strata_table *table, const char *format, ...) {
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0 || strata_grow(&table->cells, &table->capacity, table->count + 1, sizeof *table->cells, NULL)) {
        if (length >= 0) free(text);
        table->failed = true;
        return;
    }
    table->cells[table->count++] = text;
}

#define WIDEST_RULE 100

/* Columns of a terminal that UTF-8 text takes, taking every character as one wide. */
static size_t text_width(const char *text) {
    size_t width = 0;
    for (; *text; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_rule(FILE *stream, size_t indent, size_t width) {
    if (width > WIDEST_RULE) width = WIDEST_RULE;
    fprintf(stream, "%*s", (int)indent, "");
    for (size_t i = 0; i < width; i++) putc('-', stream);
    putc('\n', stream);
}

void strata_table_print_to(FILE *stream, const struct strata_table *table, size_t indent, bool total) {
    size_t widths[64] = {0}, columns = table->columns < 64 ? table->columns : 64, whole = 0;
    if (table->failed || !columns) {
        fprintf(stream, "%*s(out of memory)\n", (int)indent, "");
        return;
    }
    size_t rows = table->count / columns;
    for (size_t i = 0; i < rows * columns; i++) {
        size_t width = text_width(table->cells[i]);
        if (width > widths[i % columns]) widths[i % columns] = width;
    }
    for (size_t c = 0; c < columns; c++) whole += widths[c] + (c ? 2 : 0);
    for (size_t r = 0; r < rows; r++) {
        if (r == 1 || (total && r == rows - 1 && rows > 2)) print_rule(stream, indent, whole);
        fprintf(stream, "%*s", (int)indent, "");
        for (size_t c = 0; c < columns; c++) {
            const char *text = table->cells[r * columns + c];
            int padding = (int)(widths[c] - text_width(text));
            bool left = c == 0 || (table->left >> c & 1);
            if (left) {
                fprintf(stream, "%s%s%*s", c ? "  " : "", text, c + 1 < columns ? padding : 0, "");
            } else {
                fprintf(stream, "%s%*s%s", c ? "  " : "", padding, "", text);
            }
        }
        putc('\n', stream);
    }
}

void strata_table_print(const struct strata_table *table, size_t indent, bool total) {
    strata_table_print_to(stdout, table, indent, total);
}

void strata_table_free(struct strata_table *table) {
    for (size_t i = 0; i < table->count; i++) free(table->cells[i]);
    free(table->cells);
    *table = (struct strata_table){0};
}

static const char *scaled(char *out, double value, double step, const char *const *units) {
    size_t unit = 0;
    while (value >= step && units[unit + 1]) {
        value /= step;
        unit++;
    }
    const char *format = unit == 0 ? "%.0f%s%s" : value >= 100 ? "%.0f%s%s" : value >= 10 ? "%.1f%s%s" : "%.2f%s%s";
    snprintf(out, 32, format, value, *units[unit] ? " " : "", units[unit]);
    return out;
}

const char *strata_count_text(char *out, double count) {
    static const char *const units[] = {"", "k", "M", "G", "T", NULL};
    return scaled(out, count, 1000, units);
}

const char *strata_bytes_text(char *out, double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return scaled(out, bytes, 1024, units);
}

const char *strata_duration_text(char *out, double seconds) {
    long whole = (long)(seconds + 0.5);
    if (seconds < 10) {
        snprintf(out, 32, "%.1f s", seconds);
    } else if (whole < 60) {
        snprintf(out, 32, "%ld s", whole);
    } else if (whole < 3600) {
        snprintf(out, 32, "%ld min %02ld s", whole / 60, whole % 60);
    } else if (whole < 86400) {
        snprintf(out, 32, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    } else {
        snprintf(out, 32, "%ld d %02ld h", whole / 86400, whole / 3600 % 24);
    }
    return out;
}

const char *strata_shape_text(char *out, size_t out_size, const size_t *shape, size_t rank) {
    size_t at = (size_t)snprintf(out, out_size, "(");
    for (size_t d = 0; d < rank && at < out_size; d++)
        at += (size_t)snprintf(out + at, out_size - at, "%s%zu", d ? ", " : "", shape[d]);
    if (at < out_size) snprintf(out + at, out_size - at, ")");
    return out;
}

int strata_finish_output(struct strata_error *err) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    strata_fail(err, STRATA_ERR_IO, "the results could not be written: %s", strerror(errno));
    return strata_fail_at(err, STRATA_ERR_IO, "stdout");
}

int strata_print_json(json_t *value, struct strata_error *err) {
    char *line = value ? strata_json_line(value) : NULL;
    json_decref(value);
    if (!line) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    puts(line);
    free(line);
    return 0;
}
