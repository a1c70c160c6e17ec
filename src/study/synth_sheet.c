/* A contact sheet: what each ability looks like at each level. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "study/synth.h"
#include "study/synth_canvas.h"

#define GAP 6

static void copy_into(struct strata_image *sheet, const struct strata_image *image, size_t left, size_t top) {
    for (size_t y = 0; y < image->height && top + y < sheet->height; y++)
        memcpy(sheet->rgb + 3 * ((top + y) * sheet->width + left), image->rgb + 3 * y * image->width, 3 * image->width);
}

int strata_synth_sheet(struct strata_image *out, const struct strata_synth_look *look, struct strata_error *err) {
    size_t cell = look->size + GAP;
    struct strata_synth_sample sample = {0};
    *out =
        (struct strata_image){.width = STRATA_SYNTH_ABILITIES * cell + GAP, .height = STRATA_SYNTH_LEVELS * cell + GAP};
    int status = strata_alloc(&out->rgb, out->width * out->height, 3, err);
    if (!status) memset(out->rgb, 255, out->width * out->height * 3);
    for (size_t k = 0; k < STRATA_SYNTH_ABILITIES * STRATA_SYNTH_LEVELS && !status; k++) {
        struct strata_synth_look one = *look;
        one.abilities = (1u << STRATA_SYNTH_ABILITIES) - 1;
        one.low = 1;
        one.high = STRATA_SYNTH_LEVELS;
        status = strata_synth_make(&sample, &one, STRATA_SYNTH_TEST, k, err);
        if (!status) copy_into(out, &sample.image, GAP + sample.ability * cell, GAP + (sample.level - 1) * cell);
    }
    strata_synth_sample_free(&sample);
    if (status) strata_image_free(out);
    return status;
}
