/* Leases: one holder at a time, taken over only from the dead, the released and those who stand still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "study/lease.h"

static char directory[64];

static void doze(double seconds) {
    struct timespec pause = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

static bool takes(struct strata_leases *leases, const char *name) {
    struct strata_lease *lease;
    assert_int_equal(strata_lease_take(&lease, leases, name, NULL), 0);
    bool took = lease != NULL;
    strata_lease_release(lease);
    return took;
}

static struct strata_leases *open_leases(double heartbeat, double expiry) {
    struct strata_leases *leases;
    assert_int_equal(strata_leases_open(&leases, directory, heartbeat, expiry, NULL), 0);
    return leases;
}

static void test_one_holder(void **state) {
    (void)state;
    struct strata_leases *one = open_leases(10, 120), *other = open_leases(10, 120);
    struct strata_lease *lease;
    assert_int_equal(strata_lease_take(&lease, one, "one", NULL), 0);
    assert_non_null(lease);
    assert_false(takes(one, "one"));
    assert_false(takes(other, "one"));
    assert_true(takes(other, "another"));
    assert_true(strata_lease_held(lease));
    strata_lease_release(lease);
    assert_true(takes(other, "one"));
    strata_leases_close(one);
    strata_leases_close(other);
}

/* A child takes the lease and stays, or is killed while it has it. */
static pid_t child_with(const char *name, int *ready) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct strata_leases *leases;
        struct strata_lease *lease = NULL;
        if (!strata_leases_open(&leases, directory, 10, 120, NULL)) strata_lease_take(&lease, leases, name, NULL);
        char got = lease ? 'y' : 'n';
        if (write(ends[1], &got, 1) == 1) pause();
        _exit(0);
    }
    assert_true(child > 0);
    char got = 'n';
    assert_int_equal(read(ends[0], &got, 1), 1);
    close(ends[0]);
    close(ends[1]);
    *ready = got == 'y';
    return child;
}

static void test_dead_holder(void **state) {
    (void)state;
    struct strata_leases *leases = open_leases(10, 120);
    int ready;
    pid_t child = child_with("dead", &ready);
    assert_true(ready);
    assert_false(takes(leases, "dead")); /* alive: however long it takes */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(takes(leases, "dead")); /* at once: nobody has to wait for the expiry on the same machine */
    strata_leases_close(leases);
}

/* A holder on another machine: known by its heartbeat alone. */
static void write_foreign(unsigned generation, unsigned long long number) {
    char path[128];
    snprintf(path, sizeof path, "%s/far.%u", directory, generation);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "elsewhere/boot/pid:[1] %010ld %020llu %020llu\n", 1L, 1ULL, number);
    fclose(file);
}

static void test_far_holder(void **state) {
    (void)state;
    struct strata_leases *leases = open_leases(10, 0.3);
    write_foreign(1, 1);
    assert_false(takes(leases, "far"));
    doze(0.2);
    write_foreign(1, 2); /* it lives */
    assert_false(takes(leases, "far"));
    doze(0.2);
    assert_false(takes(leases, "far"));
    doze(0.25);
    assert_true(takes(leases, "far"));
    strata_leases_close(leases);
}

/* Who finds a newer generation has lost the lease. */
static void test_lost(void **state) {
    (void)state;
    struct strata_leases *leases = open_leases(0.05, 120);
    struct strata_lease *lease;
    char path[128], text[256] = "";
    assert_int_equal(strata_lease_take(&lease, leases, "lost", NULL), 0);
    snprintf(path, sizeof path, "%s/lost.1", directory);
    doze(0.3);
    assert_true(strata_lease_held(lease));
    FILE *file = fopen(path, "r"); /* the heartbeat's number grows */
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_true(strtoull(strrchr(text, ' '), NULL, 10) > 0);
    snprintf(path, sizeof path, "%s/lost.2", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    doze(0.3);
    assert_false(strata_lease_held(lease));
    strata_leases_close(leases);
}

/* Many processes, one lease: exactly one takes it. */
static void test_race(void **state) {
    (void)state;
    enum { RACERS = 8 };
    pid_t racers[RACERS];
    char start[128];
    snprintf(start, sizeof start, "%s/start", directory);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = fork();
        if (racers[i]) continue;
        struct strata_leases *leases;
        struct strata_lease *lease = NULL;
        if (strata_leases_open(&leases, directory, 10, 120, NULL)) _exit(2);
        while (access(start, F_OK)) doze(0.001);
        if (strata_lease_take(&lease, leases, "race", NULL)) _exit(2);
        if (lease) doze(0.3); /* a lease of the dead may be taken over */
        _exit(lease ? 1 : 0);
    }
    doze(0.1);
    FILE *file = fopen(start, "w");
    assert_non_null(file);
    fclose(file);
    int winners = 0;
    for (int i = 0; i < RACERS; i++) {
        int status;
        waitpid(racers[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        winners += WEXITSTATUS(status);
    }
    assert_int_equal(winners, 1);
}

static int setup(void **state) {
    (void)state;
    strcpy(directory, "/tmp/strata-lease-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return strata_remove_tree(directory, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_holder), cmocka_unit_test(test_dead_holder),
                                       cmocka_unit_test(test_far_holder), cmocka_unit_test(test_lost),
                                       cmocka_unit_test(test_race)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
