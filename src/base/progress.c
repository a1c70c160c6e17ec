#include "base/progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define TERMINAL_INTERVAL 0.2 /* seconds between redraws */
#define LOG_INTERVAL      10.0

struct strata_progress {
    FILE *stream;
    bool quiet, terminal, drawn;
    char label[64];
    size_t total, already, done;
    double start, last;
};

struct strata_progress *strata_progress_create(FILE *stream, bool quiet) {
    struct strata_progress *progress = calloc(1, sizeof *progress);
    if (!progress) return NULL;
    progress->stream = stream;
    progress->quiet = quiet;
    progress->terminal = isatty(fileno(stream));
    return progress;
}

void strata_progress_destroy(struct strata_progress *progress) {
    strata_progress_finish(progress);
    free(progress);
}

void strata_progress_start(struct strata_progress *progress, const char *label, size_t total, size_t already) {
    if (!progress) return;
    strata_progress_finish(progress);
    snprintf(progress->label, sizeof progress->label, "%s", label);
    progress->total = total;
    progress->already = already;
    progress->done = already;
    progress->start = strata_seconds();
    progress->last = progress->terminal ? 0.0 : progress->start;
}

/* "1:02:03" or "2:03" */
static void format_duration(char *out, size_t size, double seconds) {
    unsigned long long total = seconds < 0.0 || seconds > 1e9 ? 0 : (unsigned long long)(seconds + 0.5);
    unsigned long long hours = total / 3600, minutes = total / 60 % 60, rest = total % 60;
    if (hours) {
        snprintf(out, size, "%llu:%02llu:%02llu", hours, minutes, rest);
    } else {
        snprintf(out, size, "%llu:%02llu", minutes, rest);
    }
}

static void draw(struct strata_progress *progress, const char *note) {
    double elapsed = strata_seconds() - progress->start;
    double rate = elapsed > 0.0 ? (double)(progress->done - progress->already) / elapsed : 0.0;
    char line[512], eta[32] = "-", spent[32];
    format_duration(spent, sizeof spent, elapsed);
    if (progress->total && rate > 0.0) {
        format_duration(eta, sizeof eta, (double)(progress->total - progress->done) / rate);
    }
    char bar[32] = "";
    if (progress->total && progress->terminal) {
        size_t width = 20, filled = progress->done * width / progress->total;
        if (filled > width) filled = width;
        memset(bar, '#', filled);
        memset(bar + filled, '.', width - filled);
        bar[width] = ' ';
        bar[width + 1] = '\0';
    }
    if (progress->total) {
        snprintf(line, sizeof line, "%s %s%zu/%zu (%.0f %%)  %.1f/s  %s, ETA %s%s%s", progress->label, bar,
                 progress->done, progress->total, 100.0 * (double)progress->done / (double)progress->total, rate, spent,
                 eta, note ? "  " : "", note ? note : "");
    } else {
        snprintf(line, sizeof line, "%s %zu  %.1f/s  %s%s%s", progress->label, progress->done, rate, spent,
                 note ? "  " : "", note ? note : "");
    }
    fprintf(progress->stream, progress->terminal ? "\r\033[K%s" : "%s\n", line);
    fflush(progress->stream);
    progress->drawn = progress->terminal;
}

void strata_progress_update(struct strata_progress *progress, size_t done, const char *note) {
    if (!progress || progress->quiet) return;
    progress->done = progress->total && done > progress->total ? progress->total : done;
    double now = strata_seconds();
    if (now - progress->last < (progress->terminal ? TERMINAL_INTERVAL : LOG_INTERVAL)) return;
    progress->last = now;
    draw(progress, note);
}

void strata_progress_finish(struct strata_progress *progress) {
    if (!progress || !progress->drawn) return;
    fputc('\n', progress->stream);
    fflush(progress->stream);
    progress->drawn = false;
}

void strata_progress_message(struct strata_progress *progress, const char *format, ...) {
    if (!progress) return;
    if (progress->drawn) fputs("\r\033[K", progress->stream);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(progress->stream, format, arguments);
    va_end(arguments);
    fputc('\n', progress->stream);
    fflush(progress->stream);
}
