/* A small HTTP server for tests, in a process of its own: answers chat completions at once, or misbehaves as planned.
 * The answer to a prompt that holds "ask N." is "reply N", or (plan.fallible) at times "no idea": a function of N and
 * the seed alone, so that a model behind several servers answers as one. */
#ifndef STRATA_TESTS_HTTP_SERVER_H
#define STRATA_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/random.h"

enum misbehaviour {
    BEHAVE,
    SLOW,         /* answers after 0.3 s */
    DROP,         /* closes without a word */
    THROTTLE,     /* 429 with Retry-After: 1 */
    BREAK,        /* 500 */
    HALF,         /* promises more body than it sends */
    GARBAGE,      /* 200 with what is no JSON */
    WRONG_CHOICE, /* a choice that was not asked for */
    WRONG_ID,     /* the request id of another call, with that call's answer */
    TWICE,        /* the choice twice, the second one wrong */
    NO_CONTENT,   /* message.content null */
    MISBEHAVIOURS
};
struct server_plan {
    unsigned percent[MISBEHAVIOURS]; /* of the requests; the rest are answered */
    unsigned die_after;              /* requests until the process ends; 0: never */
    bool ignore_n;                   /* one choice whatever n says */
    bool hang;                       /* never answers */
    bool fallible;                   /* is wrong in a share of the draws that grows with the question, modulo 20 */
    bool no_retry_after;             /* THROTTLE without the header */
    const char *key;                 /* refuse others with 401, repeating the key that came; NULL: any */
    const char *content;             /* the answer to everything; NULL: "reply N" */
    unsigned status;                 /* answer every request with this status; 0: as planned */
};
struct server_counts {
    atomic_ulong requests, answered, images, by[MISBEHAVIOURS];
};
struct server {
    pid_t process;
    char url[64];
    struct server_counts *counts; /* shared memory */
};

/* ---- in the server's process ---- */

struct connection {
    int fd;
    struct strata_buffer in, out;
    size_t sent;
    double answer_at; /* 0: at once */
    bool close_after;
};
enum { CONNECTIONS = 2048 };

static void server_answer(struct connection *connection, unsigned status, const char *headers, const char *body) {
    strata_buffer_printf(&connection->out,
                         "HTTP/1.1 %u X\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                         headers, strlen(body), body);
}

static unsigned long number_after(const char *text, const char *mark, unsigned long otherwise) {
    const char *hit = strstr(text, mark);
    return hit ? strtoul(hit + strlen(mark), NULL, 10) : otherwise;
}

static void server_reply(char reply[64], unsigned long question, unsigned long seed, bool fallible) {
    struct strata_random random = strata_random_make(seed, "fallible", STRATA_PURPOSE_TEST, (uint32_t)question, 0);
    bool right = !fallible || strata_random_uniform(&random, 0) >= (double)(question % 20) / 19;
    snprintf(reply, 64, "no idea");
    if (right) snprintf(reply, 64, "reply %lu", question);
}

static void server_choices(struct strata_buffer *body, unsigned long question, unsigned long seed, unsigned long count,
                           enum misbehaviour kind, const struct server_plan *plan) {
    char reply[64];
    strata_buffer_text(body, "{\"id\": \"x\", \"object\": \"chat.completion\", \"choices\": [");
    for (unsigned long i = 0; i < count; i++) {
        server_reply(reply, question, seed + i, plan->fallible);
        strata_buffer_printf(body,
                             "%s{\"index\": %lu, \"message\": {\"role\": \"assistant\", \"content\": \"%s\"}, "
                             "\"finish_reason\": \"stop\"}",
                             i ? ", " : "", kind == WRONG_CHOICE ? i + 7 : i, plan->content ? plan->content : reply);
        if (kind == TWICE)
            strata_buffer_printf(body,
                                 ", {\"index\": %lu, \"message\": {\"role\": \"assistant\", \"content\": \"wrong\"}, "
                                 "\"finish_reason\": \"stop\"}",
                                 i);
    }
    strata_buffer_printf(body, "], \"usage\": {\"prompt_tokens\": 10, \"completion_tokens\": %lu}}", 3 * count);
}

/* Answers one whole request, which is NUL-terminated. */
static void server_respond(struct connection *connection, const char *request, const struct server_plan *plan,
                           struct server_counts *counts) {
    unsigned long serial = atomic_fetch_add(&counts->requests, 1);
    unsigned long question = number_after(request, "ask ", 0), draws = number_after(request, "\"n\": ", 1);
    unsigned dice = (unsigned)((serial * 2654435761u >> 7) % 100);
    enum misbehaviour kind = BEHAVE;
    for (int k = 1, below = 0; k < MISBEHAVIOURS && kind == BEHAVE; k++) {
        below += (int)plan->percent[k];
        if ((int)dice < below) kind = (enum misbehaviour)k;
    }
    if (plan->die_after && serial + 1 >= plan->die_after) _exit(0);
    if (plan->hang) return;
    if (strstr(request, "data:image/png;base64,iVBORw0KGgo")) atomic_fetch_add(&counts->images, 1);
    const char *key = strstr(request, "Bearer ");
    char got[64] = "", body[256];
    if (key) sscanf(key + 7, "%63[^\r\n]", got);
    if (plan->key && strcmp(got, plan->key) != 0) {
        snprintf(body, sizeof body, "{\"error\": {\"message\": \"wrong key %s\"}}", got);
        server_answer(connection, 401, "", body);
        return;
    }
    if (plan->status) {
        server_answer(connection, plan->status, "", "{\"error\": {\"message\": \"so it is\"}}");
        return;
    }
    atomic_fetch_add(&counts->by[kind], 1);
    char id[129] = "", echo[160] = "";
    const char *sent_id = strcasestr(request, "x-request-id: ");
    if (sent_id) sscanf(sent_id + 14, "%127[^\r\n]", id);
    if (kind == WRONG_ID) {
        question++;
        size_t end = strlen(id);
        id[end] = '0';
        id[end + 1] = '\0';
    }
    snprintf(echo, sizeof echo, "X-Request-Id: %s\r\n", id);
    struct strata_buffer reply = {0};
    server_choices(&reply, question, number_after(request, "\"seed\": ", 0), plan->ignore_n ? 1 : draws, kind, plan);
    switch (kind) {
    case DROP:
        connection->close_after = true;
        break;
    case THROTTLE:
        server_answer(connection, 429, plan->no_retry_after ? "" : "Retry-After: 1\r\n",
                      "{\"error\": {\"message\": \"too many\"}}");
        break;
    case BREAK:
        server_answer(connection, 500, "", "oops");
        break;
    case GARBAGE:
        server_answer(connection, 200, echo, "{\"choices\": [{\"message\"");
        break;
    case NO_CONTENT:
        server_answer(connection, 200, echo,
                      "{\"choices\": [{\"index\": 0, \"message\": {\"content\": null}, \"finish_reason\": \"stop\"}]}");
        break;
    case HALF:
        server_answer(connection, 200, echo, strata_buffer_string(&reply));
        connection->out.length -= reply.length / 2;
        connection->close_after = true;
        break;
    default:
        if (kind == SLOW) connection->answer_at = strata_seconds() + 0.3;
        atomic_fetch_add(&counts->answered, 1);
        server_answer(connection, 200, echo, strata_buffer_string(&reply));
        break;
    }
    strata_buffer_free(&reply);
}

/* Takes every whole request out of the input. */
static void server_requests(struct connection *connection, const struct server_plan *plan,
                            struct server_counts *counts) {
    for (;;) {
        char *end = connection->in.length ? strstr(connection->in.data, "\r\n\r\n") : NULL;
        if (!end) return;
        size_t head = (size_t)(end + 4 - connection->in.data);
        const char *length = strcasestr(connection->in.data, "content-length: ");
        size_t whole = head + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
        if (connection->in.length < whole) return;
        char after = connection->in.data[whole];
        connection->in.data[whole] = '\0';
        server_respond(connection, connection->in.data, plan, counts);
        connection->in.data[whole] = after;
        memmove(connection->in.data, connection->in.data + whole, connection->in.length - whole + 1);
        connection->in.length -= whole;
    }
}

static void server_close(struct connection *connection) {
    close(connection->fd);
    strata_buffer_free(&connection->in);
    strata_buffer_free(&connection->out);
    *connection = (struct connection){.fd = -1};
}

static void server_flush(struct connection *connection) {
    if (connection->answer_at > strata_seconds()) return;
    connection->answer_at = 0;
    while (connection->sent < connection->out.length) {
        ssize_t wrote = send(connection->fd, connection->out.data + connection->sent,
                             connection->out.length - connection->sent, MSG_NOSIGNAL);
        if (wrote <= 0) break;
        connection->sent += (size_t)wrote;
    }
    if (connection->sent < connection->out.length) return;
    strata_buffer_clear(&connection->out);
    connection->sent = 0;
    if (connection->close_after) server_close(connection);
}

static void server_read(struct connection *connection, const struct server_plan *plan, struct server_counts *counts) {
    static char piece[1 << 18];
    ssize_t got = recv(connection->fd, piece, sizeof piece, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) server_close(connection);
        return;
    }
    strata_buffer_append(&connection->in, piece, (size_t)got);
    server_requests(connection, plan, counts);
    server_flush(connection);
}

static void server_run(int listener, const struct server_plan *plan, struct server_counts *counts) {
    static struct connection connections[CONNECTIONS];
    int queue = epoll_create1(0), one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = CONNECTIONS}, events[256];
    epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
    for (int i = 0; i < CONNECTIONS; i++) connections[i].fd = -1;
    for (;;) {
        int count = epoll_wait(queue, events, 256, 50);
        for (int i = 0; i < count; i++) {
            uint32_t slot = events[i].data.u32;
            if (slot < CONNECTIONS) {
                if (connections[slot].fd >= 0) server_read(&connections[slot], plan, counts);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            for (slot = 0; slot < CONNECTIONS && connections[slot].fd >= 0;) slot++;
            if (fd < 0 || slot == CONNECTIONS) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            connections[slot] = (struct connection){.fd = fd};
            event = (struct epoll_event){.events = EPOLLIN, .data.u32 = slot};
            epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            if (connections[i].fd >= 0 && connections[i].out.length) server_flush(&connections[i]);
        }
    }
}

/* ---- in the test's process ---- */

static bool server_start(struct server *server, const struct server_plan *plan) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        return false;
    server->counts = mmap(NULL, sizeof *server->counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    fflush(NULL);
    server->process = fork();
    if (server->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        server_run(listener, plan, server->counts);
    }
    close(listener);
    return server->process > 0;
}

static void server_stop(struct server *server) {
    kill(server->process, SIGKILL);
    waitpid(server->process, NULL, 0);
    munmap(server->counts, sizeof *server->counts);
}

#endif
