/* strata bench: every figure beside what the machine can do, probed in the same round. */
#include "cli/bench.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/terminal.h"

#define ID(name)      STRATA_OPTION_ID_##name
#define PROBE_SECONDS 0.15
#define PROBE_BYTES   ((size_t)256 << 20)

void bench_add(struct bench_series *series, double value) {
    if (series->count < STRATA_BENCH_ROUNDS) series->values[series->count++] = value;
}

static double ranked(const struct bench_series *series, size_t rank) {
    double sorted[STRATA_BENCH_ROUNDS];
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++) {
        size_t at = count++;
        for (; at > 0 && sorted[at - 1] > series->values[i]; at--) sorted[at] = sorted[at - 1];
        sorted[at] = series->values[i];
    }
    return count ? sorted[rank] : 0.0;
}

double bench_median(const struct bench_series *series) {
    return ranked(series, series->count / 2);
}

double bench_least(const struct bench_series *series) {
    return ranked(series, 0);
}

double bench_most(const struct bench_series *series) {
    return ranked(series, series->count ? series->count - 1 : 0);
}

double bench_probe(const struct bench *bench, enum bench_limit limit) {
    if (limit == BENCH_UNBOUND) return 0.0;
    if (limit == BENCH_READ) return strata_probe_read(bench->probe, PROBE_SECONDS);
    double rate = bench->bf16 ? strata_probe_bf16(bench->probe, PROBE_SECONDS) : 0.0;
    return rate > 0.0 ? rate : strata_probe_f32(bench->probe, PROBE_SECONDS);
}

static int print_json(const struct bench *bench, struct bench_figure *figure, struct strata_error *err) {
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:I}", "task", figure->task, "peer", "strata", "isa",
                  strata_level_name(bench->level), "threads", (json_int_t)strata_threads_count(bench->threads),
                  figure->unit, bench_median(&figure->value), "lowest", bench_least(&figure->value), "highest",
                  bench_most(&figure->value), "rounds", (json_int_t)figure->value.count);
    if (line && figure->limit != BENCH_UNBOUND) {
        json_object_set_new(line, figure->limit == BENCH_READ ? "limit_read_gbs" : "limit_gflops",
                            json_real(bench_median(&figure->limits)));
        json_object_set_new(line, "share", json_real(bench_median(&figure->share)));
    }
    if (line && figure->details) json_object_update(line, figure->details);
    if (line) json_object_set_new(line, "peak_rss_mb", json_real((double)strata_peak_memory() / 1e6));
    return strata_print_json(line, err);
}

int bench_print(const struct bench *bench, struct bench_figure *figure, struct strata_error *err) {
    int code = 0;
    if (strata_flag(bench->arguments, ID(JSON))) {
        code = print_json(bench, figure, err);
    } else {
        printf("%-28s %10.4g %-8s (%.4g - %.4g)", figure->task, bench_median(&figure->value), figure->unit,
               bench_least(&figure->value), bench_most(&figure->value));
        if (figure->limit != BENCH_UNBOUND) {
            printf("  %3.0f %% of %.4g %s", 100.0 * bench_median(&figure->share), bench_median(&figure->limits),
                   figure->limit == BENCH_READ ? "GB/s read" : "GFLOP/s");
        }
        char *details = figure->details ? json_dumps(figure->details, JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
        if (details) printf("  %s", details);
        putchar('\n');
        free(details);
        code = strata_finish_output(err);
    }
    json_decref(figure->details);
    figure->details = NULL;
    return code;
}

static int run_task(struct bench *bench, const char *task, struct strata_error *err) {
    if (strcmp(task, "gemm") == 0) return bench_gemm(bench, err);
    if (strcmp(task, "verify") == 0) return bench_verify(bench, err);
    if (strcmp(task, "store") == 0) return bench_store(bench, err);
    if (strcmp(task, "sft") == 0 || strcmp(task, "grpo") == 0 || strcmp(task, "prefix") == 0)
        return bench_train_task(bench, task, err);
    static const char *const engine_tasks[] = {"load", "prefill", "decode", "batch", "cmab", "pism"};
    for (size_t i = 0; i < sizeof engine_tasks / sizeof *engine_tasks; i++) {
        if (strcmp(task, engine_tasks[i]) == 0) return bench_engine_task(bench, task, err);
    }
    strata_fail(err, STRATA_ERR_USAGE, "there is no task \"%s\"", task);
    return strata_fail_hint(err, STRATA_ERR_USAGE,
                            "gemm, prefill, decode, batch, cmab, pism, load, sft, grpo, prefix, verify or store");
}

/* Training steps are not held against the speed of memory, and their peak memory is a figure of its own. */
static size_t probe_bytes(const char *const *tasks, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(tasks[i], "sft") != 0 && strcmp(tasks[i], "grpo") != 0) return PROBE_BYTES;
    return 0;
}

int strata_cli_bench(const struct strata_arguments *arguments, struct strata_error *err) {
    static const char *const with_model[] = {"load", "prefill", "decode", "batch", "cmab", "pism"};
    static const char *const without[] = {"gemm", "verify", "store"};
    const bool model = strata_text(arguments, ID(MODEL)) != NULL;
    const char *const *tasks = arguments->operand_count ? arguments->operands : model ? with_model : without;
    size_t count = arguments->operand_count ? arguments->operand_count : model ? 6 : 3;
    struct bench bench = {.arguments = arguments, .rounds = (size_t)strata_integer(arguments, ID(ROUNDS))};
    int code = strata_level_choose(&bench.level, strata_text(arguments, ID(ISA)), err);
    if (!code) code = strata_threads_create(&bench.threads, strata_size(arguments, ID(THREADS)), err);
    if (!code) code = strata_probe_create(&bench.probe, bench.level, bench.threads, probe_bytes(tasks, count), err);
    for (size_t i = 0; !code && i < count; i++) code = run_task(&bench, tasks[i], err);
    strata_probe_free(bench.probe);
    strata_threads_destroy(bench.threads);
    return code;
}
