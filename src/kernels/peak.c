#include "kernels/peak.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/huge_pages.h"
#include "base/memory.h"
#include "kernels/lanes.h"
#include "kernels/level.h"

#define MOST_SLICES 512
#define READ_SLICES 16

enum probe_kind { PROBE_F32, PROBE_BF16, PROBE_READ };

struct slices {
    double rate[MOST_SLICES]; /* 1e9 a second */
    size_t count;
    float sink; /* keeps results alive */
    char *memory;
    size_t at;
};
struct strata_probe {
    const struct strata_level *level;
    struct strata_threads *threads;
    size_t read_bytes, workers;
    struct slices *slices; /* one a task */
    enum probe_kind kind;
    double seconds;
};

int strata_probe_create(struct strata_probe **out, const struct strata_level *level, struct strata_threads *threads,
                        size_t read_bytes, struct strata_error *err) {
    struct strata_probe *probe;
    int status = strata_alloc(&probe, 1, sizeof *probe, err);
    *out = probe;
    if (status != STRATA_OK) return status;
    probe->level = level;
    probe->threads = threads;
    probe->read_bytes = read_bytes / (READ_SLICES * 256) * (READ_SLICES * 256);
    probe->workers = strata_threads_count(threads);
    status = strata_alloc(&probe->slices, probe->workers, sizeof *probe->slices, err);
    for (size_t i = 0; status == STRATA_OK && probe->read_bytes && i < probe->workers; i++) {
        status = strata_alloc_huge(&probe->slices[i].memory, probe->read_bytes, err);
        if (status == STRATA_OK) memset(probe->slices[i].memory, 1, probe->read_bytes);
    }
    if (status != STRATA_OK) {
        strata_probe_free(probe);
        *out = NULL;
    }
    return status;
}

void strata_probe_free(struct strata_probe *probe) {
    if (!probe) return;
    for (size_t i = 0; probe->slices && i < probe->workers; i++) free(probe->slices[i].memory);
    free(probe->slices);
    free(probe);
}

/* 256 bytes a step, each line asked for 4 kB ahead: what a decode step does with weights. */
static float read_pass(const char *memory, size_t bytes) {
    lanes s0 = lanes_set(0.0f), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < bytes; i += 256) {
        const float *line = (const float *)(const void *)(memory + i);
        for (size_t ahead = 4096; ahead < 4352; ahead += 64) __builtin_prefetch(memory + i + ahead);
        s0 += lanes_load(line);
        s1 += lanes_load(line + 16);
        s2 += lanes_load(line + 32);
        s3 += lanes_load(line + 48);
    }
    return lanes_sum((s0 + s1) + (s2 + s3));
}

/* One slice; gives the flops or bytes it did. */
static double slice(const struct strata_probe *probe, struct slices *slices, size_t turns) {
    const size_t bytes = probe->read_bytes / READ_SLICES;
    switch (probe->kind) {
    case PROBE_F32:
        return probe->level->spin_f32(&slices->sink, turns);
    case PROBE_BF16:
        return probe->level->spin_bf16(&slices->sink, turns);
    case PROBE_READ:
    default:
        slices->sink += read_pass(slices->memory + slices->at, bytes);
        slices->at = (slices->at + bytes) % probe->read_bytes;
        return (double)bytes;
    }
}

static void probe_task(void *context, size_t index, size_t worker) {
    struct strata_probe *probe = context;
    struct slices *slices = &probe->slices[index];
    size_t turns = 1000;
    (void)worker;
    slices->count = 0;
    double start = strata_seconds(), now = start;
    const double end = start + probe->seconds;
    while (now < end && slices->count < MOST_SLICES) {
        const double work = slice(probe, slices, turns);
        now = strata_seconds();
        const double took = now - start;
        start = now;
        if (probe->kind != PROBE_READ && took < 5e-4) {
            turns *= 2; /* too short to time */
            continue;
        }
        slices->rate[slices->count++] = work / took * 1e-9;
    }
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double probe_run(struct strata_probe *probe, enum probe_kind kind, double seconds) {
    probe->kind = kind;
    probe->seconds = seconds;
    strata_threads_run(probe->threads, probe->workers, probe_task, probe);
    double sum = 0.0;
    for (size_t i = 0; i < probe->workers; i++) {
        struct slices *slices = &probe->slices[i];
        qsort(slices->rate, slices->count, sizeof *slices->rate, ascending);
        if (slices->count) sum += slices->rate[slices->count / 2];
    }
    return sum;
}

double strata_probe_f32(struct strata_probe *probe, double seconds) {
    return probe_run(probe, PROBE_F32, seconds);
}
double strata_probe_bf16(struct strata_probe *probe, double seconds) {
    return probe->level->spin_bf16 ? probe_run(probe, PROBE_BF16, seconds) : 0.0;
}
double strata_probe_read(struct strata_probe *probe, double seconds) {
    return probe->read_bytes ? probe_run(probe, PROBE_READ, seconds) : 0.0;
}
