/* `strata score --engine http` as a user runs it: exit statuses, the account, the cache, and an API key that is found
 * in nothing that is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "data/image.h"
#include "engine/http_server.h"

#define KEY   "sk-secret-0123456789abcdef"
#define WRONG "sk-wrongly-9876543210fedc"
enum { RECORDS = 12 };

static char directory[] = "/tmp/strata-servers-XXXXXX";
static char program[4096];

/* Runs `strata WORDS`, "&" standing for the directory; stdout and stderr land in DIRECTORY/out.N and err.N. */
static int strata(int number, const char *environment, const char *words) {
    struct strata_buffer command = {0};
    strata_buffer_printf(&command, "%s '%s' ", environment, program);
    for (; *words; words++) {
        if (*words == '&') {
            strata_buffer_text(&command, directory);
        } else {
            strata_buffer_byte(&command, (unsigned char)*words);
        }
    }
    strata_buffer_printf(&command, " >%s/out.%d 2>%s/err.%d", directory, number, directory, number);
    int status = system(strata_buffer_string(&command));
    strata_buffer_free(&command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *read_text(const char *name, int number) {
    struct strata_buffer text = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%s.%d", directory, name, number);
    assert_int_equal(strata_file_read(&text, path, 0, NULL), 0);
    return text.data ? text.data : strdup("");
}

static void assert_says(int number, const char *wanted) {
    char *text = read_text("err", number);
    if (!strstr(text, wanted)) fail_msg("\"%s\" is not said: %s", wanted, text);
    free(text);
}

static json_int_t account(int number, const char *name) {
    char *text = read_text("out", number);
    json_t *summary = NULL;
    assert_int_equal(strata_json_parse(&summary, text, strlen(text), "out", 1, NULL), 0);
    json_int_t value = json_integer_value(json_object_get(json_object_get(summary, "servers"), name));
    json_decref(summary);
    free(text);
    return value;
}

/* Nothing below the directory, the key's own file apart, holds the text. */
static void assert_nowhere(const char *secret) {
    char command[256];
    snprintf(command, sizeof command, "grep -rlaF --exclude=key.txt -e '%s' '%s'", secret, directory);
    assert_int_not_equal(system(command), 0);
}

static int setup(void **state) {
    char path[128];
    struct strata_buffer text = {0}, png = {0};
    uint8_t pixels[12 * 12 * 3] = {200};
    const struct strata_image image = {.width = 12, .height = 12, .rgb = pixels};
    (void)state;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 16);
    if (length < 0 || !mkdtemp(directory)) return 1;
    program[length] = '\0';
    snprintf(strrchr(program, '/') + 1, 8, "strata");
    for (int i = 0; i < RECORDS; i++)
        strata_buffer_printf(&text,
                             "{\"id\": \"q%d\", \"messages\": [{\"role\": \"user\", \"content\": \"<image>ask %d.\"}], "
                             "\"images\": [\"image.png\"], \"solution\": \"reply %d\"}\n",
                             i, i, i);
    snprintf(path, sizeof path, "%s/data.jsonl", directory);
    int code = strata_file_write(path, text.data, text.length, NULL);
    snprintf(path, sizeof path, "%s/key.txt", directory);
    if (!code) code = strata_file_write(path, KEY "\n", sizeof KEY, NULL);
    snprintf(path, sizeof path, "%s/image.png", directory);
    if (!code) code = strata_image_encode_png(&png, &image, NULL);
    if (!code) code = strata_file_write(path, png.data, png.length, NULL);
    strata_buffer_free(&text);
    strata_buffer_free(&png);
    return code;
}

static int teardown(void **state) {
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) != 0;
}

#define SCORE "score &/data.jsonl --engine http --model test --verifier word --speculation 0 "

static void test_keys_caches_and_accounts(void **state) {
    struct server server;
    char words[512];
    (void)state;
    if (access(program, X_OK)) skip();
    assert_true(server_start(&server, &(struct server_plan){.key = KEY}));

    /* From the environment; one draw a call. */
    snprintf(words, sizeof words,
             SCORE "--url %s --metric pism --out &/a --cache &/cache --one-by-one --json "
                   "--api-key-env STRATA_TEST_KEY",
             server.url);
    assert_int_equal(strata(1, "STRATA_TEST_KEY=" KEY, words), 0);
    json_int_t calls = account(1, "calls");
    assert_int_equal(calls, server.counts->requests);
    assert_in_range(calls, 10 * RECORDS, 100 * RECORDS);
    assert_int_equal(account(1, "prompt_tokens"), 10 * calls);
    assert_int_equal(account(1, "failed"), 0);

    /* From a file, in another run: all answers come from the cache; without the cache they are asked for again. */
    snprintf(words, sizeof words,
             SCORE "--url %s --metric pism --out &/b --cache &/cache --one-by-one --json "
                   "--api-key-file &/key.txt",
             server.url);
    assert_int_equal(strata(2, "", words), 0);
    assert_int_equal(account(2, "calls"), 0);
    assert_int_equal(account(2, "cached"), calls);
    snprintf(words, sizeof words,
             SCORE "--url %s --metric pism --out &/c --no-cache --one-by-one --json "
                   "--api-key-file &/key.txt",
             server.url);
    assert_int_equal(strata(3, "", words), 0);
    assert_int_equal(account(3, "calls"), calls);
    for (int run = 'b'; run <= 'c'; run++) {
        char command[160];
        snprintf(command, sizeof command, "cmp %s/a/difficulty.jsonl %s/%c/difficulty.jsonl", directory, directory,
                 run);
        assert_int_equal(system(command), 0);
    }

    /* A wrong key, which the server repeats in its error: told at once, and neither key is written anywhere. */
    snprintf(words, sizeof words,
             SCORE "--url http://user:" WRONG "@%s --metric pism --out &/d --no-cache "
                   "--api-key-env STRATA_TEST_KEY",
             server.url + strlen("http://"));
    assert_int_equal(strata(4, "STRATA_TEST_KEY=" WRONG, words), 1);
    assert_says(4, "HTTP status 401");
    assert_nowhere(KEY);
    assert_nowhere(WRONG);
    server_stop(&server);
}

static void test_a_budget_ends_the_run(void **state) {
    struct server server;
    char words[512];
    (void)state;
    if (access(program, X_OK)) skip();
    assert_true(server_start(&server, &(struct server_plan){.die_after = 0}));
    snprintf(words, sizeof words, SCORE "--url %s --metric pism --out &/e --no-cache --call-budget 40", server.url);
    assert_int_equal(strata(5, "", words), 1);
    assert_int_equal(server.counts->requests, 40);
    assert_says(5, "the budget of 40 calls is spent");
    snprintf(words, sizeof words, SCORE "--url %s --metric pism --out &/e --no-cache --json", server.url);
    assert_int_equal(strata(6, "", words), 0);
    assert_int_equal(account(6, "calls"), server.counts->requests - 40);
    server_stop(&server);
}

static void test_what_cannot_be(void **state) {
    (void)state;
    if (access(program, X_OK)) skip();
    assert_int_not_equal(strata(7, "", SCORE "--url http://127.0.0.1:9 --out &/f --no-cache"), 0);
    assert_says(7, "CMAB needs attention");
    assert_says(7, "--metric pism");
    assert_int_equal(strata(8, "", SCORE "--metric pism --out &/f"), 2);
    assert_says(8, "--engine http needs --url");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_caches_and_accounts),
        cmocka_unit_test(test_a_budget_ends_the_run),
        cmocka_unit_test(test_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
