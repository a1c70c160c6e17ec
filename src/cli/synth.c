/* strata synth: a synthetic world of tasks with known answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "study/synth.h"

#define COUNT_MOST 1e9
#define ID(name)   STRATA_OPTION_ID_##name

/* "ocr,math" into bits. */
static int read_abilities(unsigned *out, const char *list, struct strata_error *err) {
    if (!list) return 0;
    *out = 0;
    for (const char *word = list; *word;) {
        size_t length = strcspn(word, ","), a = 0;
        while (a < STRATA_SYNTH_ABILITIES && (strlen(strata_synth_ability_name(a)) != length ||
                                              strncmp(strata_synth_ability_name(a), word, length) != 0))
            a++;
        if (a == STRATA_SYNTH_ABILITIES) {
            strata_fail(err, STRATA_ERR_USAGE, "--ability: there is no \"%.*s\"", (int)length, word);
            return strata_fail_hint(err, STRATA_ERR_USAGE,
                                    "abilities are cv_detection, cv_grounding, counting, ocr, math, "
                                    "chart, puzzle and science");
        }
        *out |= 1u << a;
        word += length + (word[length] == ',');
    }
    return 0;
}

static int read_look(struct strata_synth_look *look, const struct strata_arguments *arguments,
                     struct strata_error *err) {
    double levels[2];
    const char *text = strata_text(arguments, ID(LEVELS));
    look->seed = (uint64_t)strata_integer(arguments, ID(SEED));
    look->size = strata_size(arguments, ID(SIZE));
    look->mask_share = strata_real(arguments, ID(MASK_SHARE));
    look->mask_tenths = (unsigned)(10 * strata_real(arguments, ID(MASK_MOST)) + 0.5);
    int status = read_abilities(&look->abilities, strata_text(arguments, ID(ABILITY)), err);
    if (!status) status = strata_setup_numbers(levels, 2, text, "levels", err);
    if (status) return status;
    if (!(levels[0] >= 1 && levels[0] <= levels[1] && levels[1] <= STRATA_SYNTH_LEVELS))
        return strata_fail(err, STRATA_ERR_USAGE, "--levels %s: two levels from 1 to %d, the lower one first", text,
                           STRATA_SYNTH_LEVELS);
    look->low = (unsigned)levels[0];
    look->high = (unsigned)levels[1];
    return 0;
}

static int read_counts(size_t counts[STRATA_SYNTH_SPLITS], const char *text, struct strata_error *err) {
    double numbers[STRATA_SYNTH_SPLITS];
    int status = strata_setup_numbers(numbers, STRATA_SYNTH_SPLITS, text, "counts", err);
    if (status) return status;
    for (int split = 0; split < STRATA_SYNTH_SPLITS; split++) {
        if (!(numbers[split] >= 0 && numbers[split] <= COUNT_MOST))
            return strata_fail(err, STRATA_ERR_USAGE, "--counts %s: three numbers of samples, each 0 to %.0f", text,
                               COUNT_MOST);
        counts[split] = (size_t)numbers[split];
    }
    return 0;
}

static int write_sheet(const char *path, const struct strata_synth_look *look, struct strata_error *err) {
    struct strata_image sheet;
    struct strata_buffer png = {0};
    int status = strata_synth_sheet(&sheet, look, err);
    if (status) return status;
    status = strata_image_encode_png(&png, &sheet, err);
    if (!status) status = strata_file_write(path, png.data, png.length, err);
    strata_buffer_free(&png);
    strata_image_free(&sheet);
    return status;
}

struct watch {
    struct strata_progress *progress;
    enum strata_synth_split split;
    bool started;
    const volatile sig_atomic_t *stop;
};

static bool on_progress(void *context, enum strata_synth_split split, size_t done, size_t total) {
    struct watch *watch = context;
    if (!watch->started || watch->split != split)
        strata_progress_start(watch->progress, strata_synth_split_name(split), total, 0);
    watch->started = true;
    watch->split = split;
    strata_progress_update(watch->progress, done, NULL);
    if (done == total) strata_progress_finish(watch->progress);
    return *watch->stop != 0;
}

int strata_cli_synth(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_synth_options options;
    strata_synth_options_default(&options);
    const char *sheet = strata_text(arguments, ID(SHEET));
    int status = read_look(&options.look, arguments, err);
    if (!status) status = read_counts(options.counts, strata_text(arguments, ID(COUNTS)), err);
    if (status) return status;
    options.out = strata_text(arguments, ID(OUT));
    options.assistant = (enum strata_synth_assistant)strata_choice(arguments, ID(ASSISTANT));
    options.format = strata_setup_format(arguments, "");
    options.threads = strata_size(arguments, ID(THREADS));
    char *system = NULL;
    status = strata_setup_text(&system, arguments, ID(SYSTEM), err);
    if (status) return status;
    if (system) options.system = system;
    struct watch watch = {.progress = strata_progress_create(stderr, strata_flag(arguments, ID(QUIET))),
                          .stop = strata_interruptible()};
    options.on_progress = on_progress;
    options.context = &watch;
    status = strata_synth_write(&options, err);
    strata_progress_destroy(watch.progress);
    free(system);
    if (!status && sheet) status = write_sheet(sheet, &options.look, err);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(json_pack("{s:s, s:I, s:I, s:I}", "out", options.out, "train",
                                           (json_int_t)options.counts[STRATA_SYNTH_TRAIN], "held-out",
                                           (json_int_t)options.counts[STRATA_SYNTH_HELD_OUT], "test",
                                           (json_int_t)options.counts[STRATA_SYNTH_TEST]),
                                 err);
    printf("%zu train, %zu held-out and %zu test records -> %s\n", options.counts[STRATA_SYNTH_TRAIN],
           options.counts[STRATA_SYNTH_HELD_OUT], options.counts[STRATA_SYNTH_TEST], options.out);
    return 0;
}
