#include "study/synth.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "study/synth_private.h"

#define SIZE_LEAST 56
#define SIZE_MOST  2048

/* An image's class is its hash modulo this; training takes half of the classes. */
#define CLASSES 4

static const char *const split_names[STRATA_SYNTH_SPLITS] = {"train", "held-out", "test"};

static const struct {
    const char *name;
    strata_synth_maker *make;
} abilities[STRATA_SYNTH_ABILITIES] = {
    {"cv_detection", strata_synth_detection},
    {"cv_grounding", strata_synth_grounding},
    {"counting", strata_synth_counting},
    {"ocr", strata_synth_ocr},
    {"math", strata_synth_math},
    {"chart", strata_synth_chart},
    {"puzzle", strata_synth_puzzle},
    {"science", strata_synth_science},
};

const char *strata_synth_ability_name(size_t ability) {
    return abilities[ability].name;
}
const char *strata_synth_split_name(enum strata_synth_split split) {
    return split_names[split];
}

void strata_synth_look_default(struct strata_synth_look *look) {
    *look = (struct strata_synth_look){
        .size = 140, .abilities = (1u << STRATA_SYNTH_ABILITIES) - 1, .low = 1, .high = STRATA_SYNTH_LEVELS};
}

/* ---- what the makers share ---- */

int strata_synth_pick(struct strata_synth_draw *draw, int low, int high) {
    return low + (int)strata_random_below(&draw->random, draw->next++, (uint64_t)high - (uint64_t)low + 1);
}

double strata_synth_real(struct strata_synth_draw *draw, double low, double high) {
    return low + (high - low) * strata_random_uniform(&draw->random, draw->next++);
}

void strata_synth_distinct(struct strata_synth_draw *draw, int *out, int count, int bound) {
    uint64_t taken = 0;
    for (int i = 0; i < count; i++) {
        int left = strata_synth_pick(draw, 0, bound - 1 - i);
        int value = 0;
        while (taken >> value & 1 || left-- > 0) value++;
        taken |= UINT64_C(1) << value;
        out[i] = value;
    }
}

static const struct {
    const char *name;
    struct strata_ink ink;
} colours[STRATA_SYNTH_COLOURS] = {
    {"red", {214, 39, 40}},  {"orange", {255, 140, 20}}, {"yellow", {240, 205, 20}}, {"green", {44, 150, 60}},
    {"blue", {31, 90, 200}}, {"purple", {135, 60, 175}}, {"brown", {125, 75, 40}},   {"black", {35, 35, 40}},
};

const char *strata_shape_name(enum strata_shape shape) {
    static const char *const names[STRATA_SHAPES] = {"circle",  "square", "triangle", "star",
                                                     "diamond", "heart",  "cross",    "moon"};
    return names[shape];
}

const char *strata_synth_colour_name(int colour) {
    return colours[colour].name;
}

static uint8_t near_channel(struct strata_synth_draw *draw, uint8_t value, int spread) {
    int moved = value + strata_synth_pick(draw, -spread, spread);
    return (uint8_t)(moved < 0 ? 0 : moved > 255 ? 255 : moved);
}
static struct strata_ink near_ink(struct strata_synth_draw *draw, struct strata_ink ink, int spread) {
    uint8_t red = near_channel(draw, ink.red, spread), green = near_channel(draw, ink.green, spread);
    return (struct strata_ink){red, green, near_channel(draw, ink.blue, spread)};
}
struct strata_ink strata_synth_ink(struct strata_synth_draw *draw, int colour) {
    return near_ink(draw, colours[colour].ink, 10);
}

enum strata_shape strata_synth_any_shape(struct strata_synth_draw *draw) {
    return (enum strata_shape)strata_synth_pick(draw, 0, strata_synth_shapes(draw) - 1);
}
int strata_synth_shapes(const struct strata_synth_draw *draw) {
    return draw->level <= 2 ? 4 : STRATA_SHAPES;
}
double strata_synth_room(const struct strata_synth_draw *draw) {
    static const double rooms[STRATA_SYNTH_LEVELS] = {0.1, 0.3, 0.6, 1, 1};
    return rooms[draw->level - 1];
}

struct strata_synth_thing strata_synth_any_thing(struct strata_synth_draw *draw) {
    enum strata_shape shape = strata_synth_any_shape(draw);
    return (struct strata_synth_thing){shape, strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1)};
}
void strata_synth_thing_name(struct strata_buffer *out, struct strata_synth_thing thing) {
    strata_buffer_printf(out, "%s %s", strata_synth_colour_name(thing.colour), strata_shape_name(thing.shape));
}

struct strata_lettering strata_synth_lettering(const struct strata_synth_draw *draw, double size) {
    return (struct strata_lettering){.size = size, .align = 0.5, .ink = draw->pen};
}

void strata_synth_label(struct strata_synth_draw *draw, double x, double y, const struct strata_lettering *lettering,
                        const char *format, ...) {
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    strata_canvas_text(draw->canvas, text, x, y, lettering);
}

/* ---- a sample ---- */

static int check_look(const struct strata_synth_look *look, struct strata_error *err) {
    if (look->size < SIZE_LEAST || look->size > SIZE_MOST)
        return strata_fail(err, STRATA_ERR_USAGE, "images of %zu pixels a side; %d to %d can be made", look->size,
                           SIZE_LEAST, SIZE_MOST);
    if (look->low < 1 || look->low > look->high || look->high > STRATA_SYNTH_LEVELS)
        return strata_fail(err, STRATA_ERR_USAGE, "levels %u to %u; there are 1 to %d", look->low, look->high,
                           STRATA_SYNTH_LEVELS);
    if (!(look->abilities & ((1u << STRATA_SYNTH_ABILITIES) - 1)))
        return strata_fail(err, STRATA_ERR_USAGE, "no ability to draw for");
    if (!(look->mask_share >= 0 && look->mask_share <= 1) ||
        (look->mask_share > 0 && (look->mask_tenths < 1 || look->mask_tenths > 9)))
        return strata_fail(err, STRATA_ERR_USAGE, "masks hide 1 to 9 tenths of a share of 0 to 1 of the images");
    return 0;
}

/* Abilities take turns; each goes through the levels in its own turns. */
static void place_index(struct strata_synth_sample *sample, const struct strata_synth_look *look, uint64_t index) {
    unsigned count = 0;
    for (unsigned a = 0; a < STRATA_SYNTH_ABILITIES; a++) count += look->abilities >> a & 1;
    uint64_t turn = index % count;
    for (unsigned a = 0; a < STRATA_SYNTH_ABILITIES; a++) {
        if (!(look->abilities >> a & 1)) continue;
        sample->ability = a;
        if (turn-- == 0) break;
    }
    sample->level = look->low + (unsigned)(index / count % (look->high - look->low + 1));
}

enum strata_synth_split strata_synth_image_split(const struct strata_image *image) {
    uint64_t class = strata_hash_bytes(image->rgb, image->width * image->height * 3).low % CLASSES;
    return class == 2 ? STRATA_SYNTH_HELD_OUT : class == 3 ? STRATA_SYNTH_TEST : STRATA_SYNTH_TRAIN;
}

static int draw_sample(struct strata_synth_sample *sample, struct strata_canvas *canvas,
                       const struct strata_synth_look *look, uint32_t attempt, struct strata_error *err) {
    struct strata_synth_draw draw = {
        .canvas = canvas,
        .size = look->size,
        .level = sample->level,
        .random = strata_random_make(look->seed, sample->id, STRATA_PURPOSE_SYNTH, attempt, 0),
        .question = &sample->question,
        .answer = &sample->answer,
        .thought = &sample->thought,
    };
    strata_buffer_clear(&sample->question);
    strata_buffer_clear(&sample->answer);
    strata_buffer_clear(&sample->thought);
    strata_image_free(&sample->image);
    /* Paper of many tints and a dark pen: what a level adds is in the tasks. */
    draw.paper = near_ink(&draw, (struct strata_ink){240, 240, 236}, 15);
    draw.pen = near_ink(&draw, (struct strata_ink){45, 45, 55}, 25);
    strata_canvas_clear(canvas, draw.paper);
    abilities[sample->ability].make(&draw);
    sample->task = draw.task;
    int status = strata_buffer_check(&sample->question, err);
    if (!status) status = strata_buffer_check(&sample->answer, err);
    if (!status) status = strata_buffer_check(&sample->thought, err);
    return status ? status : strata_canvas_image(&sample->image, canvas, err);
}

/* Whether and how much does not depend on the attempt: it would lean towards images that need no second class. */
static unsigned mask_tenths(const struct strata_synth_sample *sample, const struct strata_synth_look *look) {
    struct strata_random random = strata_random_make(look->seed, sample->id, STRATA_PURPOSE_SYNTH, 0, 1);
    if (!(strata_random_uniform(&random, 0) < look->mask_share)) return 0;
    return 1 + (unsigned)strata_random_below(&random, 1, look->mask_tenths);
}

int strata_synth_make(struct strata_synth_sample *sample, const struct strata_synth_look *look,
                      enum strata_synth_split split, uint64_t index, struct strata_error *err) {
    struct strata_canvas *canvas = NULL;
    int status = check_look(look, err);
    if (!status) status = strata_canvas_create(&canvas, look->size, err);
    if (status) return status;
    snprintf(sample->id, sizeof sample->id, "synth-%llu-%s-%06llu", (unsigned long long)look->seed, split_names[split],
             (unsigned long long)index);
    place_index(sample, look, index);
    sample->mask_tenths = split == STRATA_SYNTH_TRAIN ? mask_tenths(sample, look) : 0;
    /* The masked picture and the one under the mask must both be this split's: a training image never shows parts of a
     * test image. */
    const struct strata_mask mask = {.kind = STRATA_MASK_PIXEL};
    bool mine = false;
    for (uint32_t attempt = 0; !mine && !status; attempt++) {
        status = draw_sample(sample, canvas, look, attempt, err);
        mine = !status && strata_synth_image_split(&sample->image) == split;
        if (!mine || !sample->mask_tenths) continue;
        status = strata_image_mask(&sample->image, &mask, look->seed, sample->id, sample->mask_tenths, attempt, 0, err);
        mine = strata_synth_image_split(&sample->image) == split;
    }
    strata_canvas_free(canvas);
    return status;
}

void strata_synth_sample_free(struct strata_synth_sample *sample) {
    strata_buffer_free(&sample->question);
    strata_buffer_free(&sample->answer);
    strata_buffer_free(&sample->thought);
    strata_image_free(&sample->image);
    *sample = (struct strata_synth_sample){0};
}
