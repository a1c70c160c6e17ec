#include "verify/custom.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

#define LONGEST_ANSWER ((size_t)1 << 20)

extern char **environ;

struct strata_custom_grader {
    pthread_mutex_t lock;
    pid_t process;
    int channel; /* a socket: both its input and its output; writing to a dead process raises no signal */
    double seconds;
    bool broken;
    struct strata_buffer pending; /* read, but behind the last line taken */
};

static int spawn(pid_t *process, const char *command, int channel, struct strata_error *err) {
    posix_spawn_file_actions_t actions;
    char *arguments[] = {"/bin/sh", "-c", (char *)command, NULL};
    int rc = posix_spawn_file_actions_init(&actions);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, channel, 0);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, channel, 1);
    if (!rc) rc = posix_spawn(process, "/bin/sh", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc ? strata_fail(err, STRATA_ERR_IO, "cannot start the grader \"%s\" (error %d)", command, rc) : 0;
}

int strata_custom_start(struct strata_custom_grader **out, const char *command, double seconds,
                        struct strata_error *err) {
    int ends[2];
    *out = NULL;
    if (!command[0] || !(seconds > 0))
        return strata_fail(err, STRATA_ERR_USAGE, "a custom grader needs a command and a time limit");
    struct strata_custom_grader *grader;
    int rc = strata_alloc(&grader, 1, sizeof *grader, err);
    if (rc) return rc;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        free(grader);
        return strata_fail(err, STRATA_ERR_IO, "cannot open a channel to the grader (error %d)", errno);
    }
    rc = spawn(&grader->process, command, ends[1], err);
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        free(grader);
        return rc;
    }
    grader->channel = ends[0];
    grader->seconds = seconds;
    pthread_mutex_init(&grader->lock, NULL);
    *out = grader;
    return 0;
}

/* How the process ended, for the error's text. */
static int failed(struct strata_custom_grader *grader, struct strata_error *err, const char *what) {
    int status;
    grader->broken = true;
    if (grader->process > 0 && waitpid(grader->process, &status, WNOHANG) == grader->process) {
        grader->process = 0;
        if (WIFSIGNALED(status))
            strata_fail(err, STRATA_ERR_ENGINE, "the custom grader %s: it was ended by signal %d", what,
                        WTERMSIG(status));
        else
            strata_fail(err, STRATA_ERR_ENGINE, "the custom grader %s: it exited with %d", what, WEXITSTATUS(status));
    } else {
        strata_fail(err, STRATA_ERR_ENGINE, "the custom grader %s", what);
    }
    return strata_fail_hint(err, STRATA_ERR_ENGINE,
                            "run it by hand on one line of JSON; it must answer each line with {\"score\": ...}");
}

static int wait_for(struct strata_custom_grader *grader, short events, double deadline, struct strata_error *err) {
    for (;;) {
        double left = deadline - strata_seconds();
        struct pollfd poller = {.fd = grader->channel, .events = events};
        int ready = left > 0 ? poll(&poller, 1, (int)(left * 1000) + 1) : 0;
        if (ready > 0) return 0;
        if (ready == 0) return failed(grader, err, "did not answer in time");
        if (errno != EINTR) return failed(grader, err, "cannot be reached");
    }
}

static int send_line(struct strata_custom_grader *grader, const char *line, size_t length, double deadline,
                     struct strata_error *err) {
    while (length) {
        int rc = wait_for(grader, POLLOUT, deadline, err);
        if (rc) return rc;
        ssize_t sent = send(grader->channel, line, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (sent <= 0) return failed(grader, err, "ended");
        line += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* One line into out; what was read beyond it waits in `pending`. */
static int read_line(struct strata_buffer *out, struct strata_custom_grader *grader, double deadline,
                     struct strata_error *err) {
    char bytes[4096];
    for (;;) {
        char *end = grader->pending.length ? memchr(grader->pending.data, '\n', grader->pending.length) : NULL;
        if (end) {
            size_t length = (size_t)(end - grader->pending.data), rest = grader->pending.length - length - 1;
            strata_buffer_append(out, grader->pending.data, length);
            memmove(grader->pending.data, end + 1, rest);
            grader->pending.length = rest;
            return strata_buffer_check(out, err);
        }
        if (grader->pending.length > LONGEST_ANSWER) return failed(grader, err, "answers with an endless line");
        int rc = wait_for(grader, POLLIN, deadline, err);
        if (rc) return rc;
        ssize_t got = recv(grader->channel, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) return failed(grader, err, "ended without an answer");
        strata_buffer_append(&grader->pending, bytes, (size_t)got);
        rc = strata_buffer_check(&grader->pending, err);
        if (rc) return rc;
    }
}

static void set_text(json_t *object, const char *key, const char *text, size_t length) {
    json_t *value = text ? json_stringn(text, length) : NULL;
    if (text && !value) value = json_string(""); /* not UTF-8 */
    json_object_set_new(object, key, value ? value : json_null());
}

static int ask(struct strata_buffer *answer, struct strata_custom_grader *grader,
               const struct strata_verify_input *input, struct strata_error *err) {
    json_t *request = json_object();
    set_text(request, "solution", input->solution, input->solution_length);
    set_text(request, "completion", input->completion, input->completion_length);
    set_text(request, "ability", input->ability, input->ability ? strlen(input->ability) : 0);
    set_text(request, "verifier", input->verifier, input->verifier ? strlen(input->verifier) : 0);
    set_text(request, "question", input->question, input->question ? strlen(input->question) : 0);
    struct strata_buffer line = {0};
    char *text = request ? strata_json_line(request) : NULL;
    json_decref(request);
    if (text) strata_buffer_text(&line, text);
    strata_buffer_byte(&line, '\n');
    free(text);
    double deadline = strata_seconds() + grader->seconds;
    int rc = text ? strata_buffer_check(&line, err)
                  : strata_fail(err, STRATA_ERR_MEMORY, "out of memory for the grader's request");
    if (!rc) rc = send_line(grader, line.data, line.length, deadline, err);
    if (!rc) rc = read_line(answer, grader, deadline, err);
    strata_buffer_free(&line);
    return rc;
}

static int read_verdict(struct strata_verdict *verdict, struct strata_custom_grader *grader,
                        const struct strata_buffer *answer, struct strata_error *err) {
    json_t *object = NULL;
    const char *extracted = "", *reason = "";
    int rc = strata_json_parse(&object, strata_buffer_string(answer), answer->length, "custom grader", 1, err);
    if (!rc) rc = strata_json_real(&verdict->score, object, "score", true, "custom grader", err);
    if (!rc && !(isfinite(verdict->score) && verdict->score >= 0 && verdict->score <= 1)) {
        rc = strata_fail(err, STRATA_ERR_INPUT, "the score %g is not in [0,1]", verdict->score);
    }
    if (!rc) rc = strata_json_string(&extracted, object, "extracted", false, "custom grader", err);
    if (!rc) rc = strata_json_string(&reason, object, "reason", false, "custom grader", err);
    if (!rc) {
        strata_buffer_text(&verdict->extracted, extracted);
        strata_buffer_text(&verdict->reason, reason);
        verdict->correct = verdict->score >= 0.5;
    } else {
        grader->broken = true; /* what it says next could belong to another answer */
        if (err) err->code = STRATA_ERR_ENGINE;
        rc = STRATA_ERR_ENGINE;
    }
    json_decref(object);
    return rc;
}

int strata_custom_grade(struct strata_verdict *verdict, struct strata_custom_grader *grader,
                        const struct strata_verify_input *input, struct strata_error *err) {
    struct strata_buffer answer = {0};
    strata_buffer_clear(&verdict->extracted);
    strata_buffer_clear(&verdict->reason);
    verdict->score = 0;
    verdict->correct = verdict->truncated = false;
    verdict->kind = "custom";
    pthread_mutex_lock(&grader->lock);
    int rc = grader->broken ? strata_fail(err, STRATA_ERR_ENGINE, "the custom grader has failed before")
                            : ask(&answer, grader, input, err);
    if (!rc) rc = read_verdict(verdict, grader, &answer, err);
    pthread_mutex_unlock(&grader->lock);
    strata_buffer_free(&answer);
    return rc;
}

void strata_custom_stop(struct strata_custom_grader *grader) {
    if (!grader) return;
    close(grader->channel);
    for (int turn = 0; grader->process > 0 && turn < 50; turn++) { /* half a second to end by itself */
        if (waitpid(grader->process, NULL, WNOHANG) != 0)
            grader->process = 0;
        else
            usleep(10000);
    }
    if (grader->process > 0) {
        kill(grader->process, SIGKILL);
        waitpid(grader->process, NULL, 0);
    }
    pthread_mutex_destroy(&grader->lock);
    strata_buffer_free(&grader->pending);
    free(grader);
}
