/* The loops on the small model that ships: overfitting, ratio 1, resuming after a kill at any moment in the same bits,
 * what is refused. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/model.h"
#include "train/temporary_train.h"
#include "train/train.h"

#define MODEL "models/easyvqa-tiny"
#define DATA  "tests/data/train/train.jsonl"

/* ThreadSanitizer makes training some fifty times slower, and forking with its threads is not for it: it gets the
 * loops' threads, in few updates, without the kills. */
#if defined(__SANITIZE_THREAD__)
#define UPDATES 3
#else
#define UPDATES 100
#endif

struct run {
    struct strata_train_options options;
    struct strata_sft_options sft;
    struct strata_grpo_options grpo;
    struct strata_train_summary summary;
    struct strata_error err;
    bool policy; /* GRPO */
};

static void common(struct run *run, const char *out, size_t steps) {
    run->options.engine.model = MODEL;
    run->options.engine.memory = (size_t)32 << 20;
    run->options.engine.threads = 2;
    run->options.data = DATA;
    run->options.out = out;
    run->options.max_steps = steps;
    run->options.rate = 3e-4;
    run->options.save_steps = 2;
    run->options.eval_tokens = 24;
    run->options.seed = 3;
}

static struct run sft_run(const char *out, size_t steps) {
    struct run run = {0};
    strata_sft_defaults(&run.options, &run.sft);
    common(&run, out, steps);
    run.sft.batch = 4;
    return run;
}

static struct run grpo_run(const char *out, size_t steps) {
    struct run run = {.policy = true};
    strata_grpo_defaults(&run.options, &run.grpo);
    common(&run, out, steps);
    run.grpo.prompts = 2;
    run.grpo.completions = 4;
    run.grpo.sampling.max_new_tokens = 20;
    run.grpo.check = true;
    return run;
}

static int go(struct run *run) {
    run->err = (struct strata_error){0};
    return run->policy ? strata_grpo(&run->summary, &run->options, &run->grpo, &run->err)
                       : strata_sft(&run->summary, &run->options, &run->sft, &run->err);
}

static void succeed(struct run *run) {
    char line[1400];
    if (go(run)) fail_msg("%s", strata_error_line(&run->err, line, sizeof line));
}

static void expect(struct run *run, int code, const char *why) {
    assert_int_equal(go(run), code);
    if (!strstr(run->err.what, why) && !strstr(run->err.hint, why))
        fail_msg("\"%s (%s)\" does not say \"%s\"", run->err.what, run->err.hint, why);
}

static void read_file(struct strata_buffer *out, const char *directory, const char *name) {
    char *path = strata_path_join(directory, name);
    strata_buffer_clear(out);
    if (strata_file_read(out, path, 0, NULL)) fail_msg("no %s", path);
    free(path);
}

static void same_file(const char *a, const char *b, const char *name) {
    struct strata_buffer first = {0}, second = {0};
    read_file(&first, a, name);
    read_file(&second, b, name);
    if (first.length != second.length || memcmp(first.data, second.data, first.length) != 0)
        fail_msg("%s of %s and %s differ", name, a, b);
    strata_buffer_free(&first);
    strata_buffer_free(&second);
}

/* metrics.jsonl without what depends on the clock. */
static char *timeless_metrics(const char *directory) {
    struct strata_buffer text = {0}, out = {0};
    read_file(&text, directory, "metrics.jsonl");
    for (size_t begin = 0; begin < text.length;) {
        size_t length = strcspn(text.data + begin, "\n");
        json_t *line;
        assert_int_equal(strata_json_parse(&line, text.data + begin, length, "metrics", 1, NULL), 0);
        json_object_del(line, "time");
        strata_json_write(&out, line);
        strata_buffer_byte(&out, '\n');
        json_decref(line);
        begin += length + 1;
    }
    strata_buffer_free(&text);
    return out.data;
}

static void same_run(const char *a, const char *b) {
    char *first = timeless_metrics(a), *second = timeless_metrics(b);
    assert_string_equal(first, second);
    free(first);
    free(second);
    same_file(a, b, "last/model.safetensors");
    same_file(a, b, "last/optimizer.safetensors");
}

/* ---- learning ---- */

static void test_sft_overfits(void **state) {
    char *out = temporary_directory();
    struct run run = sft_run(out, UPDATES);
    (void)state;
    run.options.dataset.limit = 4;
    run.options.rate = 2e-3;
    run.options.save_steps = 0;
    succeed(&run);
    if (UPDATES == 100 && !(run.summary.loss < 0.01)) {
        fail_msg("a loss of %g after 100 updates on four records", run.summary.loss);
    }
    assert_int_equal(run.summary.steps, UPDATES);
    /* What was written is a model. */
    struct strata_model *model;
    struct strata_model_options options = {.weights_as_stored = true};
    char *last = strata_path_join(out, "last");
    assert_int_equal(strata_model_open(&model, last, &options, NULL), 0);
    strata_model_close(model);
    free(last);
    remove_directory(out);
}

/* Losses do not depend on how a batch is cut, nor on what is computed again. */
static void test_micro_batches(void **state) {
    char *a = temporary_directory(), *b = temporary_directory();
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        struct run one = policy ? grpo_run(a, 1) : sft_run(a, 1), two = policy ? grpo_run(b, 1) : sft_run(b, 1);
        two.options.micro_rows = 1;
        two.options.recompute = STRATA_TAPE_LAYERS;
        two.options.engine.threads = 1;
        succeed(&one);
        succeed(&two);
        assert_true(one.summary.loss == two.summary.loss);
        remove_directory(a);
        remove_directory(b);
        a = temporary_directory();
        b = temporary_directory();
    }
    remove_directory(a);
    remove_directory(b);
}

static void test_threads(void **state) {
    char *a = temporary_directory(), *b = temporary_directory();
    struct run one = grpo_run(a, 2), three = grpo_run(b, 2);
    (void)state;
    one.options.engine.threads = 1;
    three.options.engine.threads = 3;
    succeed(&one);
    succeed(&three);
    same_run(a, b);
    remove_directory(a);
    remove_directory(b);
}

/* --check holds on every first update, also with other temperatures, several updates and the tower trained. */
static void test_ratio_one(void **state) {
    char *out = temporary_directory();
    struct run run = grpo_run(out, 4);
    (void)state;
    run.grpo.sampling.temperature = 0.7f;
    run.grpo.updates = 2;
    run.grpo.iterations = 2;
    run.grpo.resample_tries = 1;
    run.options.warmup_ratio = 0; /* else the first update changes nothing */
    run.options.trained[STRATA_GROUP_MERGER] = run.options.trained[STRATA_GROUP_VISION] = true;
    succeed(&run);
    char *metrics = timeless_metrics(out);
    assert_non_null(strstr(metrics, "\"ratio\": 1.0,"));           /* first update */
    assert_null(strstr(strchr(metrics, '\n'), "\"ratio\": 1.0,")); /* the others are off policy */
    free(metrics);
    remove_directory(out);
}

/* A rollout cut into two updates: the first has the prompts, and so the gradient, of a rollout half its size. (The
 * moments tell: AdamW's first step is the same for gradients of another scale.) */
static void test_updates(void **state) {
    char *a = temporary_directory(), *b = temporary_directory();
    struct run one = grpo_run(a, 1), two = grpo_run(b, 1);
    (void)state;
    one.grpo.policy.type = two.grpo.policy.type = STRATA_LOSS_BNPO;
    two.grpo.updates = 2;
    one.grpo.prompts = two.grpo.prompts = 6;
    succeed(&one);
    succeed(&two);
    assert_true(one.summary.loss == two.summary.loss);
    char *metrics = timeless_metrics(a);
    assert_null(strstr(metrics, "\"grad_norm\": 0.0,")); /* some group has unequal rewards */
    free(metrics);
    same_file(a, b, "last/optimizer.safetensors");
    remove_directory(a);
    remove_directory(b);
}

/* ---- killing and resuming ---- */

/* Runs in a child that is killed after `microseconds`, or ends by itself. */
static void run_and_kill(struct run *run, unsigned microseconds) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(go(run) ? 1 : 0);
    usleep(microseconds);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void check_kills(struct run (*make)(const char *, size_t), size_t lora) {
    char *whole = temporary_directory(), *broken = temporary_directory();
    struct run run = make(whole, 5), killed = make(broken, 5);
    run.options.lora.rank = killed.options.lora.rank = lora;
    succeed(&run);
    double seconds = run.summary.seconds;
    for (unsigned i = 1; i <= 3; i++) {
        run_and_kill(&killed, (unsigned)(1e6 * seconds * 0.3 * i));
        killed.options.resume = "last"; /* also right when there is no checkpoint yet */
    }
    succeed(&killed);
    same_run(whole, broken);
    if (run.policy) same_file(whole, broken, "completions.jsonl");
    remove_directory(whole);
    remove_directory(broken);
}

static void test_kill_sft(void **state) {
    (void)state;
    check_kills(sft_run, 0);
}

static void test_kill_grpo(void **state) {
    (void)state;
    check_kills(grpo_run, 0);
}

static void test_kill_lora(void **state) {
    (void)state;
    check_kills(grpo_run, 4);
}

/* A checkpoint in the middle and an end must give what one stretch gives: no luck with timing involved. */
static void test_resume(void **state) {
    char *whole = temporary_directory(), *halves = temporary_directory();
    struct run run = grpo_run(whole, 4), again = grpo_run(halves, 4);
    char *middle = strata_path_join(halves, "checkpoint-2");
    (void)state;
    succeed(&run);
    succeed(&again);
    again.options.resume = middle; /* back to step 2: the rest is made again */
    succeed(&again);
    same_run(whole, halves);
    same_file(whole, halves, "completions.jsonl");
    free(middle);
    remove_directory(whole);
    remove_directory(halves);
}

static volatile sig_atomic_t stop_now;

static void stop_at_two(void *context, const struct strata_train_progress *progress) {
    (void)context;
    if (progress->step == 2) stop_now = 1;
}

static void test_interrupt(void **state) {
    char *whole = temporary_directory(), *stopped = temporary_directory();
    struct run run = grpo_run(whole, 4), other = grpo_run(stopped, 4);
    (void)state;
    run.options.save_steps = other.options.save_steps = 0;
    succeed(&run);
    stop_now = 0;
    other.options.interrupt = &stop_now;
    other.options.observer.on_progress = stop_at_two;
    expect(&other, STRATA_ERR_INTERRUPTED, "state saved");
    assert_int_equal(other.summary.steps, 2);
    stop_now = 0;
    other.options.resume = "last";
    succeed(&other);
    same_run(whole, stopped);
    remove_directory(whole);
    remove_directory(stopped);
}

/* ---- refusals ---- */

static void test_refused(void **state) {
    char *out = temporary_directory(), *other = temporary_directory();
    struct run run = sft_run(out, 2);
    (void)state;
    succeed(&run);
    expect(&run, STRATA_ERR_STATE, "--resume last");
    run.options.resume = MODEL;
    expect(&run, STRATA_ERR_STATE, "weights alone");
    expect(&run, STRATA_ERR_STATE, "--start-from");
    run.options.resume = "last";
    run.sft.batch = 3;
    expect(&run, STRATA_ERR_STATE, "batch 4, not 3");
    run.sft.batch = 4;
    run.options.rate = 1e-4;
    expect(&run, STRATA_ERR_STATE, "rate");
    char *last = strata_path_join(out, "last");
    run = sft_run(other, 2);
    run.options.start_from = last; /* weights alone, by explicit wish */
    succeed(&run);
    struct run policy = grpo_run(other, 2);
    policy.options.resume = "last";
    expect(&policy, STRATA_ERR_STATE, "mode");
    policy.options.resume = NULL;
    policy.grpo.completions = 1;
    expect(&policy, STRATA_ERR_USAGE, "at least 2");
    policy.grpo.completions = 4;
    policy.grpo.sampling.repetition_penalty = 1.05f;
    expect(&policy, STRATA_ERR_USAGE, "repetition penalty");
    policy.grpo.sampling.repetition_penalty = 1.0f;
    policy.grpo.sampling.temperature = 0.0f;
    expect(&policy, STRATA_ERR_USAGE, "temperature 0");
    free(last);
    remove_directory(out);
    remove_directory(other);
}

static size_t messages_seen;

static void count_message(void *context, const char *text) {
    (void)context;
    messages_seen += strstr(text, "skipped") != NULL;
}

/* A rate that blows the weights up: updates that are not finite are counted and skipped, then the run gives up with its
 * state saved. */
static void test_not_finite(void **state) {
    char *out = temporary_directory();
    struct run run = sft_run(out, 40);
    (void)state;
    run.options.rate = 10.0;
    run.options.warmup_ratio = 0;
    run.options.adamw.weight_decay = 10.0;
    run.options.schedule = STRATA_SCHEDULE_CONSTANT;
    run.options.max_skipped = 3;
    run.options.save_steps = 0;
    run.options.observer.on_message = count_message;
    messages_seen = 0;
    expect(&run, STRATA_ERR_NUMERIC, "3 updates in a row");
    assert_true(run.summary.skipped >= 3 && messages_seen == run.summary.skipped);
    char *last = strata_path_join(out, "last");
    assert_true(strata_is_directory(last));
    free(last);
    remove_directory(out);
}

static void test_rotation(void **state) {
    char *out = temporary_directory();
    struct run run = sft_run(out, 6);
    (void)state;
    run.options.save_steps = 1;
    run.options.save_total_limit = 2;
    run.options.held_out = DATA;
    run.options.dataset.limit = 8;
    run.options.eval_steps = 3;
    succeed(&run);
    size_t found = 0;
    for (size_t step = 1; step <= 6; step++) {
        char name[64];
        snprintf(name, sizeof name, "checkpoint-%zu", step);
        char *path = strata_path_join(out, name);
        bool there = strata_is_directory(path);
        found += there;
        if (step == 6 || step == run.summary.best_step) assert_true(there);
        free(path);
    }
    assert_int_equal(found, 2);
    remove_directory(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sft_overfits), cmocka_unit_test(test_micro_batches), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_ratio_one),    cmocka_unit_test(test_updates),       cmocka_unit_test(test_kill_sft),
        cmocka_unit_test(test_kill_grpo),    cmocka_unit_test(test_kill_lora),     cmocka_unit_test(test_resume),
        cmocka_unit_test(test_interrupt),    cmocka_unit_test(test_refused),       cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_rotation),
    };
    const struct CMUnitTest few[] = {cmocka_unit_test(test_sft_overfits), cmocka_unit_test(test_ratio_one),
                                     cmocka_unit_test(test_refused)};
    return UPDATES == 100 ? cmocka_run_group_tests(tests, NULL, NULL) : cmocka_run_group_tests(few, NULL, NULL);
}
