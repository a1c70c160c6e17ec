#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

/* A run is published under the mutex as a new generation; workers claim task indices from one atomic counter. A worker
 * that finishes waits a short moment on the generation counter (a decode step publishes dozens of runs back to back)
 * and then sleeps on the condition variable, so that nothing spins while idle. */
#define SPINS_BEFORE_SLEEP 2000

struct strata_threads {
    size_t count; /* the caller included */
    pthread_t *workers;
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    atomic_uint_fast64_t generation;
    atomic_size_t next, finished; /* tasks claimed; workers done with this generation */
    bool stopping;
    strata_task *task;
    void *context;
    size_t tasks;
};

struct worker_start {
    struct strata_threads *threads;
    size_t worker;
};

static void claim_tasks(struct strata_threads *threads, size_t worker) {
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&threads->next, 1, memory_order_relaxed);
        if (index >= threads->tasks) return;
        threads->task(threads->context, index, worker);
    }
}

/* Waits for a generation other than `seen`; returns it. */
static uint_fast64_t wait_for_work(struct strata_threads *threads, uint_fast64_t seen) {
    for (int spin = 0; spin < SPINS_BEFORE_SLEEP; spin++) {
        uint_fast64_t now = atomic_load_explicit(&threads->generation, memory_order_acquire);
        if (now != seen) return now;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&threads->mutex);
    uint_fast64_t now;
    while ((now = atomic_load_explicit(&threads->generation, memory_order_acquire)) == seen) {
        pthread_cond_wait(&threads->wake, &threads->mutex);
    }
    pthread_mutex_unlock(&threads->mutex);
    return now;
}

static void *worker_main(void *argument) {
    struct worker_start start = *(struct worker_start *)argument;
    free(argument);
    struct strata_threads *threads = start.threads;
    uint_fast64_t seen = 0;
    for (;;) {
        seen = wait_for_work(threads, seen);
        if (threads->stopping) return NULL;
        claim_tasks(threads, start.worker);
        if (atomic_fetch_add_explicit(&threads->finished, 1, memory_order_acq_rel) + 1 == threads->count - 1) {
            pthread_mutex_lock(&threads->mutex);
            pthread_cond_signal(&threads->done);
            pthread_mutex_unlock(&threads->mutex);
        }
    }
}

static void publish(struct strata_threads *threads) {
    pthread_mutex_lock(&threads->mutex);
    atomic_fetch_add_explicit(&threads->generation, 1, memory_order_release);
    pthread_cond_broadcast(&threads->wake);
    pthread_mutex_unlock(&threads->mutex);
}

void strata_threads_run(struct strata_threads *threads, size_t tasks, strata_task *task, void *context) {
    if (!threads || threads->count == 1 || tasks <= 1) {
        for (size_t index = 0; index < tasks; index++) task(context, index, 0);
        return;
    }
    threads->task = task;
    threads->context = context;
    threads->tasks = tasks;
    atomic_store_explicit(&threads->next, 0, memory_order_relaxed);
    atomic_store_explicit(&threads->finished, 0, memory_order_relaxed);
    publish(threads);
    claim_tasks(threads, 0);
    for (int spin = 0; spin < SPINS_BEFORE_SLEEP; spin++) {
        if (atomic_load_explicit(&threads->finished, memory_order_acquire) == threads->count - 1) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    pthread_mutex_lock(&threads->mutex);
    while (atomic_load_explicit(&threads->finished, memory_order_acquire) < threads->count - 1) {
        pthread_cond_wait(&threads->done, &threads->mutex);
    }
    pthread_mutex_unlock(&threads->mutex);
}

int strata_threads_create(struct strata_threads **out, size_t count, struct strata_error *err) {
    struct strata_threads *threads;
    *out = NULL;
    if (count == 0) count = strata_cpu_count();
    if (strata_alloc(&threads, 1, sizeof *threads, err)) return STRATA_ERR_MEMORY;
    threads->count = 1;
    pthread_mutex_init(&threads->mutex, NULL);
    pthread_cond_init(&threads->wake, NULL);
    pthread_cond_init(&threads->done, NULL);
    if (strata_alloc(&threads->workers, count, sizeof *threads->workers, err)) goto failed;
    size_t wanted = count;
    /* Workers read `count` only after the first publish, so it is settled before any of them looks. */
    for (size_t worker = 1; worker < wanted; worker++) {
        struct worker_start *start;
        if (strata_alloc(&start, 1, sizeof *start, err)) goto failed;
        *start = (struct worker_start){threads, worker};
        if (pthread_create(&threads->workers[worker], NULL, worker_main, start)) {
            free(start);
            strata_fail(err, STRATA_ERR_IO, "cannot start thread %zu of %zu", worker + 1, wanted);
            goto failed;
        }
        threads->count = worker + 1;
    }
    *out = threads;
    return 0;
failed:
    strata_threads_destroy(threads);
    return err ? err->code : STRATA_ERR_IO;
}

void strata_threads_destroy(struct strata_threads *threads) {
    if (!threads) return;
    threads->stopping = true;
    publish(threads);
    for (size_t worker = 1; worker < threads->count; worker++) pthread_join(threads->workers[worker], NULL);
    pthread_cond_destroy(&threads->done);
    pthread_cond_destroy(&threads->wake);
    pthread_mutex_destroy(&threads->mutex);
    free(threads->workers);
    free(threads);
}

size_t strata_threads_count(const struct strata_threads *threads) {
    return threads ? threads->count : 1;
}

/* CPUs that a cgroup v2 quota allows, rounded up; 0 when there is no quota. */
static size_t cgroup_cpus(void) {
    unsigned long long quota, period;
    size_t cpus = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0) cpus = (size_t)((quota + period - 1) / period);
    fclose(file);
    return cpus;
}

size_t strata_cpu_count(void) {
    cpu_set_t set;
    size_t count = sched_getaffinity(0, sizeof set, &set) ? 1 : (size_t)CPU_COUNT(&set);
    size_t quota = cgroup_cpus();
    if (quota && quota < count) count = quota;
    return count ? count : 1;
}
