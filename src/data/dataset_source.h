/* Private to the data sets: what a file format gives the iterator, and which files a data set is made of. */
#ifndef STRATA_DATA_DATASET_SOURCE_H
#define STRATA_DATA_DATASET_SOURCE_H

#include "data/sample.h"
#include "data/text_file.h"

/* Records of one file. One of these per format. */
struct strata_source {
    /* The next record, as a new reference in *record (NULL when not `wanted`: it is passed over unread), and its line.
     * *got false at the end. STRATA_ERR_INPUT: this one record is bad, the next call goes on behind it; any other error
     * is final. */
    int (*next)(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err);
    void (*close)(struct strata_source *source); /* not its file */
    struct strata_text_file *file; /* what it reads, set before the first next; NULL where it reads by itself */
    const char *layout;            /* "JSONL" */
};
int strata_source_jsonl(struct strata_source **out, struct strata_error *err);
int strata_source_array(struct strata_source **out, struct strata_error *err);
int strata_source_csv(struct strata_source **out, char separator, struct strata_error *err);
/* A "line" of Parquet is a row, from 1. */
int strata_source_parquet(struct strata_source **out, const char *path, struct strata_error *err);
/* Parquet is told by its first bytes, CSV by its name (.csv, .tsv, each perhaps with .gz or .zst), and what is left by
 * content: '[' begins a JSON array, all else is JSONL. */
int strata_source_open(struct strata_source **out, const char *path, struct strata_error *err);
void strata_source_close(struct strata_source *source); /* and its file; NULL is allowed */
/* Parses text, whose first line is `line` of the source's file, as a record. */
int strata_source_object(json_t **record, const struct strata_buffer *text, const struct strata_source *source,
                         size_t line, struct strata_error *err);

/* How a dataset_info.json of LLaMA-Factory names what is in a file: an owned copy of its entry's columns and tags. */
struct strata_mapping {
    bool sharegpt; /* else alpaca */
    json_t *columns, *tags;
};
struct strata_data_file {
    char *path;
    char *directory;                /* where its relative image paths start */
    struct strata_mapping *mapping; /* NULL: the record's own names */
};
struct strata_data_files {
    struct strata_data_file *items;
    size_t count, capacity;
};
/* A file; a pattern (glob) of files, in the order of their names; a LLaMA-Factory directory with one data set, or
 * DIRECTORY:NAME with several. */
int strata_data_files_find(struct strata_data_files *out, const char *path, struct strata_error *err);
int strata_data_files_add(struct strata_data_files *files, const char *path, const char *directory,
                          struct strata_error *err);
void strata_data_files_free(struct strata_data_files *files);

#define STRATA_LLAMAFACTORY_INFO "dataset_info.json"
/* The file of data set `name` (NULL: the only one) that directory/dataset_info.json describes. */
int strata_llamafactory_find(struct strata_data_files *out, const char *directory, const char *name,
                             struct strata_error *err);
/* The record under LLaMA-Factory's standard names. Takes over *record; `where` places errors. */
int strata_llamafactory_rename(json_t **record, const struct strata_mapping *mapping, const char *where,
                               struct strata_error *err);

/* Which key of a record holds what is asked; in this order where it has several. */
enum strata_turns {
    STRATA_TURNS_MESSAGES,      /* messages: role, content */
    STRATA_TURNS_CONVERSATIONS, /* conversations: from, value (LLaMA-Factory's sharegpt) */
    STRATA_TURNS_PROMPT,        /* prompt: text or messages (TRL, verl) */
    STRATA_TURNS_QUESTION,      /* question: text */
    STRATA_TURNS_INSTRUCTION,   /* instruction, input, output, history, system (alpaca) */
    STRATA_TURNS_NONE
};
enum strata_turns strata_record_turns(const json_t *record);
const char *strata_turns_key(enum strata_turns turns);
/* The value of a key, NULL also where it is JSON's null. */
json_t *strata_record_value(const json_t *record, const char *key);

/* One record to a sample. Takes over `record`, also on failure. `directory`: where relative image paths start. */
int strata_sample_parse(struct strata_sample *out, json_t *record, const char *where, const char *directory,
                        const char *default_id, const struct strata_dataset_options *options, struct strata_error *err);

/* An image given in the record itself: a data URL, or bare base64 of a PNG, JPEG, WebP or GIF file. */
bool strata_image_is_inline(const char *text);

#endif
