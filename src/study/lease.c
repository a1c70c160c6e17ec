#include "study/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#define PLACE 160 /* a machine, a boot and a process-id space as text */

/* What was last seen of a lease that another process holds. */
struct sighting {
    char *name;
    unsigned generation;
    char text[256];
    double since; /* when its text was last new, by this process's clock */
};

struct strata_leases {
    char *directory;
    char place[PLACE];
    unsigned long long started; /* of this process, in the kernel's ticks: tells reused process ids apart */
    double heartbeat, expiry;
    struct sighting *seen;
    size_t count, capacity;
    struct strata_lease *held; /* list */
    pthread_mutex_t mutex;     /* of the list, and of stopping */
    pthread_cond_t wake;
    pthread_t beater;
    bool beating, stopping;
};

struct strata_lease {
    struct strata_leases *leases;
    struct strata_lease *next;
    char *name;
    unsigned generation;
    unsigned long long number;
    atomic_bool lost;
};

/* ---- identity ---- */

static void read_line(char *out, size_t size, const char *path) {
    FILE *file = fopen(path, "r");
    *out = '\0';
    if (!file) return;
    if (!fgets(out, (int)size, file)) *out = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

/* When process `pid` was started; 0: there is none (or no /proc). */
static unsigned long long start_of(long pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_line(text, sizeof text, path);
    const char *at = strrchr(text, ')'); /* the program's name may hold anything */
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void find_place(char out[PLACE]) {
    char host[64] = "", boot[48], space[48] = "";
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (*c == ' ') *c = '_';
    read_line(boot, sizeof boot, "/proc/sys/kernel/random/boot_id");
    ssize_t length = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    if (length < 0) *space = '\0';
    snprintf(out, PLACE, "%s/%s/%s", host, boot, space);
}

/* ---- files ---- */

static void path_of(struct strata_buffer *out, const struct strata_leases *leases, const char *name,
                    unsigned generation) {
    strata_buffer_clear(out);
    strata_buffer_printf(out, "%s/%s.%u", leases->directory, name, generation);
}

static int cannot(struct strata_error *err, const char *what, const char *path) {
    strata_fail(err, STRATA_ERR_IO, "cannot %s: %s", what, strerror(errno));
    return strata_fail_at(err, STRATA_ERR_IO, "%s", path);
}

/* "PLACE PID STARTED NUMBER" or "released". Written in place and whole: it is shorter than a sector. */
static int write_text(const struct strata_lease *lease, const char *text, int flags, const char *path) {
    (void)lease;
    int handle = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (handle < 0) return -1;
    size_t length = strlen(text);
    bool written = pwrite(handle, text, length, 0) == (ssize_t)length && fsync(handle) == 0;
    int problem = errno;
    if (close(handle) && written) return -1;
    errno = problem;
    return written ? 0 : -1;
}

static void make_text(char out[256], const struct strata_lease *lease) {
    const struct strata_leases *leases = lease->leases;
    /* Numbers have a fixed width, so that a new one covers the old. */
    snprintf(out, 256, "%s %010ld %020llu %020llu\n", leases->place, (long)getpid(), leases->started, lease->number);
}

/* The newest generation of a name; 0: none. */
static unsigned newest(const struct strata_leases *leases, const char *name, unsigned from) {
    struct strata_buffer path = {0};
    unsigned generation = from;
    for (;; generation++) {
        path_of(&path, leases, name, generation + 1);
        if (path.failed || access(path.data, F_OK)) break;
    }
    strata_buffer_free(&path);
    return generation;
}

/* ---- of others ---- */

static struct sighting *find_sighting(struct strata_leases *leases, const char *name, struct strata_error *err) {
    for (size_t i = 0; i < leases->count; i++)
        if (strcmp(leases->seen[i].name, name) == 0) return &leases->seen[i];
    char *copy = strata_strdup(name);
    if (!copy) strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!copy || strata_grow(&leases->seen, &leases->capacity, leases->count + 1, sizeof *leases->seen, err)) {
        free(copy);
        return NULL;
    }
    leases->seen[leases->count] = (struct sighting){.name = copy};
    return &leases->seen[leases->count++];
}

/* Is the lease whose text was just read over? */
static bool is_over(const struct strata_leases *leases, const struct sighting *seen) {
    char place[PLACE];
    long pid;
    unsigned long long started, number;
    if (strncmp(seen->text, "released", 8) == 0) return true;
    bool read = sscanf(seen->text, "%159s %ld %llu %llu", place, &pid, &started, &number) == 4;
    if (read && strcmp(place, leases->place) == 0) {
        if (pid == (long)getpid() && started == leases->started) return false; /* another thread or lease of ours */
        if (started) return start_of(pid) != started;
    }
    return strata_seconds() - seen->since > leases->expiry;
}

/* Reads generation `generation` and judges it. A file that cannot be read is as one that stands still. */
static int look(bool *over, struct strata_leases *leases, const char *name, unsigned generation,
                struct strata_error *err) {
    struct strata_buffer path = {0};
    char text[256];
    struct sighting *seen = find_sighting(leases, name, err);
    if (!seen) return STRATA_ERR_MEMORY;
    path_of(&path, leases, name, generation);
    if (strata_buffer_check(&path, err)) return STRATA_ERR_MEMORY;
    read_line(text, sizeof text, path.data);
    strata_buffer_free(&path);
    if (seen->generation != generation || strcmp(seen->text, text) != 0) {
        seen->generation = generation;
        memcpy(seen->text, text, sizeof text);
        seen->since = strata_seconds();
    }
    *over = is_over(leases, seen);
    return 0;
}

/* ---- heartbeat ---- */

static void beat(struct strata_lease *lease) {
    struct strata_buffer path = {0};
    char text[256];
    if (newest(lease->leases, lease->name, lease->generation) != lease->generation) {
        atomic_store(&lease->lost, true);
        return;
    }
    lease->number++;
    make_text(text, lease);
    path_of(&path, lease->leases, lease->name, lease->generation);
    if (!path.failed) write_text(lease, text, 0, path.data); /* a beat that fails is one that is missed */
    strata_buffer_free(&path);
}

static void *beat_on(void *argument) {
    struct strata_leases *leases = argument;
    pthread_mutex_lock(&leases->mutex);
    while (!leases->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        long long nanoseconds = until.tv_nsec + (long long)(leases->heartbeat * 1e9);
        until.tv_sec += (time_t)(nanoseconds / 1000000000);
        until.tv_nsec = (long)(nanoseconds % 1000000000);
        if (pthread_cond_timedwait(&leases->wake, &leases->mutex, &until) != ETIMEDOUT) continue;
        for (struct strata_lease *lease = leases->held; lease; lease = lease->next) beat(lease);
    }
    pthread_mutex_unlock(&leases->mutex);
    return NULL;
}

int strata_leases_open(struct strata_leases **out, const char *directory, double heartbeat, double expiry,
                       struct strata_error *err) {
    struct strata_leases *leases;
    pthread_condattr_t attributes;
    *out = NULL;
    int code = strata_make_directories(directory, err);
    if (!code) code = strata_alloc(&leases, 1, sizeof *leases, err);
    if (code) return code;
    leases->directory = strata_strdup(directory);
    leases->heartbeat = heartbeat;
    leases->expiry = expiry;
    leases->started = start_of((long)getpid());
    find_place(leases->place);
    pthread_mutex_init(&leases->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&leases->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    leases->beating = leases->directory && pthread_create(&leases->beater, NULL, beat_on, leases) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!leases->beating) {
        strata_leases_close(leases);
        return strata_fail(err, STRATA_ERR_MEMORY, "cannot start the thread that keeps leases");
    }
    *out = leases;
    return 0;
}

void strata_leases_close(struct strata_leases *leases) {
    if (!leases) return;
    for (struct strata_lease *lease = leases->held, *next; lease; lease = next) {
        next = lease->next;
        strata_lease_release(lease);
    }
    if (leases->beating) {
        pthread_mutex_lock(&leases->mutex);
        leases->stopping = true;
        pthread_cond_signal(&leases->wake);
        pthread_mutex_unlock(&leases->mutex);
        pthread_join(leases->beater, NULL);
    }
    pthread_cond_destroy(&leases->wake);
    pthread_mutex_destroy(&leases->mutex);
    for (size_t i = 0; i < leases->count; i++) free(leases->seen[i].name);
    free(leases->seen);
    free(leases->directory);
    free(leases);
}

/* ---- taking ---- */

/* *made false: another process was first. */
static int make_file(bool *made, const struct strata_lease *lease, struct strata_error *err) {
    struct strata_buffer path = {0}, own = {0};
    char text[256];
    *made = false;
    path_of(&path, lease->leases, lease->name, lease->generation);
    strata_buffer_printf(&own, "%s/.%s.%ld.%llu", lease->leases->directory, lease->name, (long)getpid(),
                         lease->leases->started);
    int code = strata_buffer_check(&path, err);
    if (!code) code = strata_buffer_check(&own, err);
    make_text(text, lease);
    if (!code && write_text(lease, text, O_CREAT | O_TRUNC, own.data)) code = cannot(err, "write a lease", own.data);
    if (!code) {
        struct stat status;
        int failed = link(own.data, path.data) ? errno : 0;
        /* NFS may have made the link and lost the answer: the number of links tells. */
        *made = stat(own.data, &status) == 0 && status.st_nlink == 2;
        if (!*made && failed != EEXIST) {
            errno = failed;
            code = cannot(err, "take a lease", path.data);
        }
    }
    if (own.data) unlink(own.data);
    strata_buffer_free(&path);
    strata_buffer_free(&own);
    return code;
}

static void lease_free(struct strata_lease *lease) {
    free(lease->name);
    free(lease);
}

int strata_lease_take(struct strata_lease **out, struct strata_leases *leases, const char *name,
                      struct strata_error *err) {
    struct strata_lease *lease;
    bool over = true, made = false;
    unsigned generation = newest(leases, name, 0);
    *out = NULL;
    int code = generation ? look(&over, leases, name, generation, err) : 0;
    if (code || !over) return code;
    if ((code = strata_alloc(&lease, 1, sizeof *lease, err))) return code;
    lease->leases = leases;
    lease->name = strata_strdup(name);
    lease->generation = generation + 1;
    atomic_init(&lease->lost, false);
    code = lease->name ? make_file(&made, lease, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code || !made) {
        lease_free(lease);
        return code;
    }
    pthread_mutex_lock(&leases->mutex);
    lease->next = leases->held;
    leases->held = lease;
    pthread_mutex_unlock(&leases->mutex);
    *out = lease;
    return 0;
}

bool strata_lease_held(const struct strata_lease *lease) {
    return !atomic_load(&lease->lost);
}

void strata_lease_release(struct strata_lease *lease) {
    if (!lease) return;
    struct strata_leases *leases = lease->leases;
    struct strata_buffer path = {0};
    pthread_mutex_lock(&leases->mutex);
    struct strata_lease **link = &leases->held;
    while (*link != lease) link = &(*link)->next;
    *link = lease->next;
    pthread_mutex_unlock(&leases->mutex);
    path_of(&path, leases, lease->name, lease->generation);
    if (!path.failed && strata_lease_held(lease)) write_text(lease, "released", 0, path.data);
    strata_buffer_free(&path);
    lease_free(lease);
}
