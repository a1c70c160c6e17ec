/* A world of tasks with known answers and controllable difficulty, for all eight abilities: drawn, not collected.
 *
 * A sample is a pure function of (seed, split, index) and the look (size, masks, abilities, levels). No image is in
 * two splits, whatever the seeds and counts: the hash of an image's pixels decides which split may have it, and a
 * sample is drawn again until its image belongs to its split. */
#ifndef STRATA_STUDY_SYNTH_H
#define STRATA_STUDY_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "data/export.h"
#include "data/image.h"
#include "strata/error.h"

#define STRATA_SYNTH_ABILITIES 8
#define STRATA_SYNTH_LEVELS    5
/* "cv_detection", "cv_grounding", "counting", "ocr", "math", "chart", "puzzle", "science": first perception, then
 * reasoning. */
const char *strata_synth_ability_name(size_t ability);

enum strata_synth_split { STRATA_SYNTH_TRAIN, STRATA_SYNTH_HELD_OUT, STRATA_SYNTH_TEST, STRATA_SYNTH_SPLITS };
/* "train", "held-out", "test": also the names of the files. */
const char *strata_synth_split_name(enum strata_synth_split split);

/* The assistant turn of a record. */
enum strata_synth_assistant {
    STRATA_SYNTH_NONE,   /* there is none */
    STRATA_SYNTH_ANSWER, /* <answer>…</answer> */
    STRATA_SYNTH_THINK   /* <think>what is seen</think><answer>…</answer> */
};

struct strata_synth_look {
    uint64_t seed;
    size_t size;          /* pixels a side, 56 to 2048 */
    unsigned abilities;   /* bit a: ability a takes part; at least one */
    unsigned low, high;   /* levels, 1 .. STRATA_SYNTH_LEVELS */
    double mask_share;    /* share of the training images with random pixels blacked out, as PISM does */
    unsigned mask_tenths; /* at most so many tenths of their pixels, 1 to 9 */
};
void strata_synth_look_default(struct strata_synth_look *look);

struct strata_synth_sample {
    char id[64];
    size_t ability;
    unsigned level;
    const char *task; /* kind of question within the ability (static) */
    struct strata_buffer question, answer, thought;
    unsigned mask_tenths; /* of the pixels are black */
    struct strata_image image;
};
/* Sample `index` of a split: abilities take turns, and levels for each ability. sample must be zero-initialised or
 * reused. STRATA_ERR_UNSUPPORTED where the build or the machine cannot draw. */
int strata_synth_make(struct strata_synth_sample *sample, const struct strata_synth_look *look,
                      enum strata_synth_split split, uint64_t index, struct strata_error *err);
void strata_synth_sample_free(struct strata_synth_sample *sample);

/* Which split may have this image. */
enum strata_synth_split strata_synth_image_split(const struct strata_image *image);

struct strata_synth_options {
    struct strata_synth_look look;
    const char *system;                    /* system turn of every record; "": none */
    const char *out;                       /* directory: train.jsonl …, images/train/… */
    size_t counts[STRATA_SYNTH_SPLITS];    /* samples; 0: the split is not written */
    enum strata_synth_assistant assistant; /* in the training split; the others have none */
    enum strata_format format;
    size_t threads;
    /* Called after every batch; returning true stops with STRATA_ERR_INTERRUPTED. May be NULL. */
    bool (*on_progress)(void *context, enum strata_synth_split split, size_t done, size_t total);
    void *context;
};
void strata_synth_options_default(struct strata_synth_options *options);
/* Writes the splits. A split's file appears whole, after its images. */
int strata_synth_write(const struct strata_synth_options *options, struct strata_error *err);

/* A picture of the world: a column for each ability, a row for each level, question and answer under each image. */
int strata_synth_sheet(struct strata_image *out, const struct strata_synth_look *look, struct strata_error *err);

#endif
