/* A sample: one record of a data set, as every room above sees it, and the iterator that yields them. */
#ifndef STRATA_DATA_SAMPLE_H
#define STRATA_DATA_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "strata/error.h"

enum strata_role { STRATA_ROLE_SYSTEM, STRATA_ROLE_USER, STRATA_ROLE_ASSISTANT };

struct strata_message {
    enum strata_role role;
    char *text; /* UTF-8; "<image>" marks the place of an image in user (and system) turns */
};

/* Where an image's bytes are. Exactly one of path / bytes is set (bytes: the record held the file itself). */
struct strata_archive;
struct strata_image_source {
    char *path; /* absolute or relative to the process, already joined with the data set's directory; of a member of an
                   archive "…/x.zip/member" */
    char *name; /* as written in the record */
    unsigned char *bytes;
    size_t length;
    struct strata_archive *archive; /* NULL, or what holds `member`; held until the source is freed */
    char *member;
};
/* The bytes as they are stored, into out (cleared first); or the picture. From any thread. */
struct strata_image;
int strata_image_source_read(struct strata_buffer *out, const struct strata_image_source *source,
                             struct strata_error *err);
int strata_image_source_load(struct strata_image *out, const struct strata_image_source *source,
                             struct strata_error *err);
void strata_image_source_free(struct strata_image_source *source); /* what it owns, not the struct */

struct strata_sample {
    char *id;
    char *ability;  /* "" when absent */
    char *solution; /* the gold answer */
    char *verifier; /* "" when absent: which grader the record asks for */
    struct strata_message *messages;
    size_t message_count; /* the final assistant turn, if the record has one, is not among them */
    char *assistant;      /* that final assistant turn (an SFT target), or NULL */
    struct strata_image_source *images;
    size_t image_count;
    char *directory; /* where relative image names start */
    json_t *record;  /* the whole record as read, extra columns and order kept; owned */
    char *where;     /* file:line, for errors */
    size_t index;    /* 0-based position in the data set, bad records counted */
};
void strata_sample_free(struct strata_sample *sample); /* frees what it owns, not the struct */

struct strata_dataset_options {
    bool skip_bad;              /* a bad record is reported and counted, not an error */
    bool prepend_missing_image; /* --missing-image prepend */
    const char *system;         /* used where a record has no system turn of its own; may be NULL */
    size_t limit;               /* 0: all */
    size_t shard, shards;       /* --shard i/n, 1-based; 0/0: all. Record k belongs to shard (k mod n)+1 */
    /* Called for each bad record when skip_bad; may be NULL. */
    void (*on_bad)(void *context, const struct strata_error *error);
    void *context;
};

struct strata_dataset;
/* path: a file (JSONL, JSON array, CSV or TSV, each perhaps gzip-compressed), a pattern of files ("part-*.jsonl"), or a
 * LLaMA-Factory directory (DIR, or DIR:NAME where its dataset_info.json describes several). Which layout it is, its
 * name and first bytes tell (docs/formats.md). Nothing is read but these. */
int strata_dataset_open(struct strata_dataset **out, const char *path, const struct strata_dataset_options *options,
                        struct strata_error *err);
/* *got false at the end. Checks everything that can be checked without decoding images: JSON (line and column),
 * types, "<image>" count against images, empty question or solution, duplicate ids, vision placeholder tokens in text.
 * Records without an id get "<file stem>-<index>" (stable under --limit and --shard). One without a solution whose last
 * turn is the assistant's has that turn as its solution. */
int strata_dataset_next(struct strata_dataset *dataset, struct strata_sample *sample, bool *got,
                        struct strata_error *err);
size_t strata_dataset_bad(const struct strata_dataset *dataset); /* bad records skipped so far */
/* Records in the data set, quickly (nothing is parsed); for progress. */
int strata_dataset_count(size_t *out, const char *path, struct strata_error *err);
/* Identity of the content: of one file, its strata_hash_file. */
int strata_dataset_hash(struct strata_hash *out, const char *path, struct strata_error *err);
/* Appends what the data set was taken for, from its first record: "JSONL, gzip, messages (ms-swift)". */
int strata_dataset_layout(struct strata_buffer *out, const char *path, struct strata_error *err);
void strata_dataset_close(struct strata_dataset *dataset);

#endif
