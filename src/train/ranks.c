#include "train/ranks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#ifdef STRATA_MPI
#include <mpi.h>
#endif

#define CHUNK ((size_t)1 << 22) /* numbers of one message */

struct strata_ranks {
    size_t index, count;
    bool agreed;  /* on an error */
    float *chunk; /* (CHUNK) what is received */
};

size_t strata_ranks_count(const struct strata_ranks *ranks) {
    return ranks ? ranks->count : 1;
}

size_t strata_ranks_index(const struct strata_ranks *ranks) {
    return ranks ? ranks->index : 0;
}

bool strata_ranks_agreed(const struct strata_ranks *ranks) {
    return ranks && ranks->agreed;
}

/* ---- messages ---- */

#ifdef STRATA_MPI

static int lost(struct strata_error *err) {
    strata_fail(err, STRATA_ERR_ENGINE, "the other processes of this run cannot be reached any more");
    return strata_fail_hint(err, STRATA_ERR_ENGINE, "start again with --resume last");
}

static int join(struct strata_ranks *ranks, struct strata_error *err) {
    int index = 0, count = 1;
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) return strata_fail(err, STRATA_ERR_ENGINE, "MPI does not start");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &index);
    MPI_Comm_size(MPI_COMM_WORLD, &count);
    ranks->index = (size_t)index;
    ranks->count = (size_t)count;
    return 0;
}

static void leave(void) {
    MPI_Finalize();
}

static int send_floats(const float *values, size_t count, size_t to, struct strata_error *err) {
    return MPI_Send(values, (int)count, MPI_FLOAT, (int)to, 0, MPI_COMM_WORLD) ? lost(err) : 0;
}

static int receive_floats(float *values, size_t count, size_t from, struct strata_error *err) {
    return MPI_Recv(values, (int)count, MPI_FLOAT, (int)from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE) ? lost(err) : 0;
}

/* From rank 0 to all. */
static int broadcast_floats(float *values, size_t count, struct strata_error *err) {
    return MPI_Bcast(values, (int)count, MPI_FLOAT, 0, MPI_COMM_WORLD) ? lost(err) : 0;
}

/* One number of each rank. */
static int gather_sizes(uint64_t *all, uint64_t mine, struct strata_error *err) {
    return MPI_Allgather(&mine, 1, MPI_UINT64_T, all, 1, MPI_UINT64_T, MPI_COMM_WORLD) ? lost(err) : 0;
}

static int gather_bytes(char *all, const int *lengths, const int *begins, const char *mine, int length,
                        struct strata_error *err) {
    return MPI_Allgatherv(mine, length, MPI_BYTE, all, lengths, begins, MPI_BYTE, MPI_COMM_WORLD) ? lost(err) : 0;
}

#else /* one rank: none of these is ever called */

static int join(struct strata_ranks *ranks, struct strata_error *err) {
    (void)ranks;
    strata_fail(err, STRATA_ERR_UNSUPPORTED, "mpirun started several processes, but this strata was built without MPI");
    return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "install libopenmpi-dev and build again");
}

static void leave(void) {
}

static int send_floats(const float *values, size_t count, size_t to, struct strata_error *err) {
    (void)values, (void)count, (void)to;
    return strata_fail(err, STRATA_ERR_UNSUPPORTED, "built without MPI");
}

static int receive_floats(float *values, size_t count, size_t from, struct strata_error *err) {
    return send_floats(values, count, from, err);
}

static int broadcast_floats(float *values, size_t count, struct strata_error *err) {
    return send_floats(values, count, 0, err);
}

static int gather_sizes(uint64_t *all, uint64_t mine, struct strata_error *err) {
    (void)all, (void)mine;
    return strata_fail(err, STRATA_ERR_UNSUPPORTED, "built without MPI");
}

static int gather_bytes(char *all, const int *lengths, const int *begins, const char *mine, int length,
                        struct strata_error *err) {
    (void)all, (void)lengths, (void)begins, (void)mine, (void)length;
    return strata_fail(err, STRATA_ERR_UNSUPPORTED, "built without MPI");
}

#endif

/* ---- joining and leaving ---- */

/* How many processes mpirun started, by the variable that it sets for them; MPI is not touched without it. */
static long started(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value) return strtol(value, NULL, 10);
    }
    return 1;
}

int strata_ranks_open(struct strata_ranks **out, struct strata_error *err) {
    struct strata_ranks *ranks;
    *out = NULL;
    if (started() <= 1) return 0;
    int code = strata_alloc(&ranks, 1, sizeof *ranks, err);
    if (code) return code;
    code = strata_alloc(&ranks->chunk, CHUNK, sizeof *ranks->chunk, err);
    if (!code) code = join(ranks, err);
    if (code) {
        free(ranks->chunk);
        free(ranks);
        return code;
    }
    *out = ranks;
    return 0;
}

void strata_ranks_close(struct strata_ranks *ranks, int status) {
    if (!ranks) return;
    if (!status || ranks->agreed) leave();
    free(ranks->chunk);
    free(ranks);
}

/* ---- what all do together ---- */

int strata_ranks_exchange(struct strata_ranks *ranks, struct strata_buffer *all, const struct strata_buffer *mine,
                          struct strata_error *err) {
    uint64_t *sizes = NULL;
    int *lengths = NULL, *begins = NULL;
    strata_buffer_clear(all);
    if (!ranks) {
        strata_buffer_append(all, mine->data, mine->length);
        return strata_buffer_check(all, err);
    }
    size_t N = ranks->count, total = 0;
    int code = strata_buffer_check(mine, err);
    if (!code) code = strata_alloc(&sizes, N, sizeof *sizes, err);
    if (!code) code = strata_alloc(&lengths, N, sizeof *lengths, err);
    if (!code) code = strata_alloc(&begins, N, sizeof *begins, err);
    if (!code) code = gather_sizes(sizes, mine->length, err);
    for (size_t i = 0; !code && i < N; i++) {
        if (sizes[i] > INT32_MAX - total)
            code = strata_fail(err, STRATA_ERR_MEMORY, "the ranks exchange more than 2 GiB at once");
        begins[i] = (int)total;
        lengths[i] = (int)sizes[i];
        total += sizes[i];
    }
    if (!code) {
        char *bytes = NULL;
        code = strata_alloc(&bytes, total ? total : 1, 1, err);
        if (!code) code = gather_bytes(bytes, lengths, begins, mine->data, (int)mine->length, err);
        if (!code) strata_buffer_append(all, bytes, total);
        free(bytes);
    }
    free(sizes);
    free(lengths);
    free(begins);
    return code ? code : strata_buffer_check(all, err);
}

int strata_ranks_agree(struct strata_ranks *ranks, int code, struct strata_error *err) {
    struct strata_error mine = {0}, first = {0};
    struct strata_buffer sent = {0}, all = {0};
    if (!ranks) return code;
    if (code) {
        mine = *err;
        mine.code = code;
    }
    strata_buffer_append(&sent, &mine, sizeof mine);
    int failed = strata_ranks_exchange(ranks, &all, &sent, err);
    for (size_t i = 0; !failed && !first.code && i < ranks->count; i++)
        memcpy(&first, all.data + i * sizeof first, sizeof first);
    strata_buffer_free(&sent);
    strata_buffer_free(&all);
    if (failed || !first.code) return failed;
    ranks->agreed = true;
    *err = first;
    return first.code;
}

int strata_ranks_any(bool *out, struct strata_ranks *ranks, bool mine, struct strata_error *err) {
    struct strata_buffer sent = {0}, all = {0};
    strata_buffer_byte(&sent, mine);
    int code = strata_ranks_exchange(ranks, &all, &sent, err);
    *out = !code && memchr(all.data, 1, all.length) != NULL;
    strata_buffer_free(&sent);
    strata_buffer_free(&all);
    return code;
}

void strata_ranks_shards(size_t *first, size_t *last, const struct strata_ranks *ranks, size_t S) {
    size_t own = S / strata_ranks_count(ranks), index = strata_ranks_index(ranks);
    *first = index * own;
    *last = (index + 1) * own;
}

size_t strata_ranks_owner(const struct strata_ranks *ranks, size_t s, size_t S) {
    return s / (S / strata_ranks_count(ranks));
}

/* ---- the tree ---- */

struct tree {
    struct strata_ranks *ranks;
    float *values;
    size_t count, S, first, last;
    float *spare[64]; /* the left halves that wait, by depth */
    strata_shard_function *shard;
    void *context;
    int code; /* of a shard: the others go on, or they would wait for each other */
    struct strata_error error;
};

static int keep_left(struct tree *tree, size_t depth, struct strata_error *err) {
    if (!tree->spare[depth]) {
        int code = strata_alloc_aligned(&tree->spare[depth], tree->count, sizeof(float), err);
        if (code) return code;
    }
    memcpy(tree->spare[depth], tree->values, tree->count * sizeof(float));
    return 0;
}

static int send_values(const struct tree *tree, size_t to, struct strata_error *err) {
    int code = 0;
    for (size_t done = 0; !code && done < tree->count; done += CHUNK) {
        size_t left = tree->count - done;
        code = send_floats(tree->values + done, left < CHUNK ? left : CHUNK, to, err);
    }
    return code;
}

static int add_received(const struct tree *tree, size_t from, struct strata_error *err) {
    float *chunk = tree->ranks->chunk;
    int code = 0;
    for (size_t done = 0; !code && done < tree->count; done += CHUNK) {
        size_t part = tree->count - done < CHUNK ? tree->count - done : CHUNK;
        code = receive_floats(chunk, part, from, err);
        for (size_t i = 0; !code && i < part; i++) tree->values[done + i] += chunk[i];
    }
    return code;
}

/* Sum of the shards [from, to): in `values` of the rank that has shard `from`. A rank goes where it has shards. */
static int sum_shards(struct tree *tree, size_t from, size_t to, size_t depth, struct strata_error *err) {
    size_t middle = from + (to - from) / 2, me = strata_ranks_index(tree->ranks);
    if (to - from == 1) {
        if (!tree->code) tree->code = tree->shard(tree->context, from, &tree->error);
        return 0;
    }
    size_t left = strata_ranks_owner(tree->ranks, from, tree->S),
           right = strata_ranks_owner(tree->ranks, middle, tree->S);
    bool in_left = tree->first < middle && tree->last > from, in_right = tree->first < to && tree->last > middle;
    int code = in_left ? sum_shards(tree, from, middle, depth + 1, err) : 0;
    if (!code && in_right) {
        if (left == me) code = keep_left(tree, depth, err);
        if (in_left) memset(tree->values, 0, tree->count * sizeof *tree->values);
        if (!code) code = sum_shards(tree, middle, to, depth + 1, err);
    }
    if (code) return code;
    if (left == me && right == me) {
        for (size_t i = 0; i < tree->count; i++) tree->values[i] = tree->spare[depth][i] + tree->values[i];
        return 0;
    }
    if (right == me) return send_values(tree, left, err);
    return left == me ? add_received(tree, right, err) : 0;
}

int strata_ranks_sum(struct strata_ranks *ranks, float *values, size_t count, size_t S, strata_shard_function *shard,
                     void *context, struct strata_error *err) {
    struct tree tree = {.ranks = ranks, .values = values, .count = count, .S = S, .shard = shard, .context = context};
    strata_ranks_shards(&tree.first, &tree.last, ranks, S);
    int code = sum_shards(&tree, 0, S, 0, err);
    for (size_t i = 0; i < sizeof tree.spare / sizeof *tree.spare; i++) free(tree.spare[i]);
    if (code) return code;
    if (tree.code) *err = tree.error;
    code = strata_ranks_agree(ranks, tree.code, err);
    for (size_t done = 0; !code && ranks && done < count; done += CHUNK)
        code = broadcast_floats(values + done, count - done < CHUNK ? count - done : CHUNK, err);
    return code;
}
