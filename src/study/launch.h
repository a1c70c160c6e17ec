/* The launch file beside data written for a trainer: the paper's settings in that trainer's own words, so that training
 * elsewhere is one command. The texts are src/study/launch/. */
#ifndef STRATA_STUDY_LAUNCH_H
#define STRATA_STUDY_LAUNCH_H

#include <stdbool.h>

#include "base/buffer.h"
#include "data/export.h"
#include "strata/error.h"

/* out: what strata_export wrote as `format`. SWIFT: OUT.grpo.sh, TRL: OUT.grpo.py, VERL: OUT.grpo.sh, each with
 * OUT.reward.py; LLAMAFACTORY: sft.yaml and deepspeed.json inside; other formats: nothing. Files that are there are
 * left alone, since people change them. Appends the launch file's path to `path` ("" for none); *kept: it was there. */
int strata_launch_write(struct strata_buffer *path, bool *kept, const char *out, enum strata_format format,
                        struct strata_error *err);

#endif
