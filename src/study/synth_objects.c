/* Coloured shapes on paper: find them (cv_detection), find one (cv_grounding), count them (counting). A level adds
 * things, makes them smaller and their company more alike. */
#include <math.h>

#include "study/synth_private.h"

#define THINGS_MOST 20
#define TRIES       60
#define CLEAR_LEAD  4 /* hundredths of the side */

struct placed {
    struct strata_synth_thing thing;
    double x, y, radius;
    struct strata_bounds bounds;
};
struct scene {
    struct placed items[THINGS_MOST];
    int count;
};

/* A free place; the radius shrinks when there is none. */
static void put(struct strata_synth_draw *draw, struct scene *scene, struct strata_synth_thing thing, double radius) {
    struct placed *item = &scene->items[scene->count];
    double x = 50, y = 50;
    for (bool free = false; !free; radius *= 0.93) {
        for (int i = 0; i < TRIES && !free; i++) {
            x = strata_synth_real(draw, radius + 2, 98 - radius);
            y = strata_synth_real(draw, radius + 2, 98 - radius);
            free = true;
            for (int k = 0; k < scene->count; k++) {
                const struct placed *other = &scene->items[k];
                double dx = x - other->x, dy = y - other->y, apart = 1.05 * (radius + other->radius) + 2;
                if (dx * dx + dy * dy < apart * apart) free = false;
            }
        }
        item->radius = radius;
    }
    double angle = draw->level < 3 ? 0 : strata_synth_real(draw, -15, 15);
    *item = (struct placed){.thing = thing, .x = x, .y = y, .radius = item->radius};
    item->bounds =
        strata_canvas_shape(draw->canvas, thing.shape, x, y, item->radius, angle, strata_synth_ink(draw, thing.colour));
    scene->count++;
}

/* Targets stand first in the scene; put them in reading order, left to right. */
static void sort_by_x(struct placed *items, int count) {
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && items[k].x < items[k - 1].x; k--) {
            struct placed swap = items[k];
            items[k] = items[k - 1];
            items[k - 1] = swap;
        }
}

static void append_box(struct strata_synth_draw *draw, const struct strata_bounds *bounds, const char *label) {
    double scale = (double)draw->size / 100;
    strata_buffer_printf(draw->answer, "{\"bbox_2d\":[%ld,%ld,%ld,%ld],\"label\":\"%s\"}", lround(bounds->left * scale),
                         lround(bounds->top * scale), lround(bounds->right * scale), lround(bounds->bottom * scale),
                         label);
}

static struct strata_synth_thing other_shape(struct strata_synth_draw *draw, enum strata_shape shape) {
    struct strata_synth_thing thing = strata_synth_any_thing(draw);
    while (thing.shape == shape) thing.shape = strata_synth_any_shape(draw);
    return thing;
}

/* The size is drawn before the thing: as arguments of one call the compiler would choose the order. */
static void put_other(struct strata_synth_draw *draw, struct scene *scene, enum strata_shape shape, double low,
                      double high) {
    double size = strata_synth_real(draw, low, high);
    put(draw, scene, other_shape(draw, shape), size);
}

/* `count` things of a shape, in reading order, and behind them some of other shapes. */
static void put_group(struct strata_synth_draw *draw, struct scene *scene, enum strata_shape shape, int count,
                      int others, double low, double high) {
    for (int i = 0; i < count; i++) {
        struct strata_synth_thing thing = {shape, strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1)};
        put(draw, scene, thing, strata_synth_real(draw, low, high));
    }
    for (int i = 0; i < others; i++) put_other(draw, scene, shape, low, high);
    sort_by_x(scene->items, count);
}

/* Which ninth of the picture, in words. */
static void append_place(struct strata_buffer *out, const struct placed *item) {
    static const char *const rows[] = {"top", "middle", "bottom"}, *const columns[] = {"left", "centre", "right"};
    int row = (int)(item->y * 3 / 100), column = (int)(item->x * 3 / 100);
    strata_buffer_printf(out, "%s %s", rows[row > 2 ? 2 : row], columns[column > 2 ? 2 : column]);
}

void strata_synth_detection(struct strata_synth_draw *draw) {
    static const struct {
        int least, most, others;
        double low, high;
    } levels[] = {{1, 1, 0, 21, 27}, {1, 2, 1, 16, 22}, {2, 2, 2, 12, 17}, {2, 3, 3, 9, 14}, {3, 4, 4, 7, 11}};
    unsigned l = draw->level - 1;
    struct scene scene = {0};
    enum strata_shape shape = strata_synth_any_shape(draw);
    const char *name = strata_shape_name(shape);
    int count = strata_synth_pick(draw, levels[l].least, levels[l].most);
    put_group(draw, &scene, shape, count, levels[l].others, levels[l].low, levels[l].high);
    draw->task = "every";
    strata_buffer_printf(draw->question, "Find every %s: bbox_2d and label.", name);
    strata_buffer_text(draw->answer, "[");
    for (int i = 0; i < count; i++) {
        if (i) strata_buffer_text(draw->answer, ",");
        append_box(draw, &scene.items[i].bounds, name);
        strata_buffer_printf(draw->thought, "%s%s ", i ? ", " : "",
                             strata_synth_colour_name(scene.items[i].thing.colour));
        append_place(draw->thought, &scene.items[i]);
    }
    strata_buffer_text(draw->answer, "]");
}

/* How far along a way (an index of `words` below) a thing is. */
static double reach(const struct placed *item, int way) {
    double place = way < 2 ? item->x : item->y;
    return way % 2 ? place : -place;
}

static const struct placed *furthest(double *lead, const struct placed *items, int count, int way) {
    const struct placed *best = items;
    for (int i = 1; i < count; i++)
        if (reach(&items[i], way) > reach(best, way)) best = &items[i];
    *lead = 100;
    for (int i = 0; i < count; i++) {
        double behind = reach(best, way) - reach(&items[i], way);
        if (&items[i] != best && behind < *lead) *lead = behind;
    }
    return best;
}

/* The thing that is furthest in a direction among several of one shape. */
static void ground_extreme(struct strata_synth_draw *draw) {
    static const char *const words[] = {"leftmost", "rightmost", "topmost", "lowest"};
    struct scene scene = {0};
    enum strata_shape shape = strata_synth_any_shape(draw);
    for (int i = 0; i < 3; i++) {
        struct strata_synth_thing thing = {shape, strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1)};
        put(draw, &scene, thing, strata_synth_real(draw, 9, 14));
    }
    for (int i = 0; i < 2; i++) put_other(draw, &scene, shape, 9, 14);
    /* A direction in which one is clearly first; mostly the first one tried. */
    const struct placed *best = scene.items;
    int way = strata_synth_pick(draw, 0, 3);
    double lead = 0;
    for (int tries = 0; tries < 4 && lead < CLEAR_LEAD; tries++) {
        way = (way + (tries > 0)) % 4;
        best = furthest(&lead, scene.items, 3, way);
    }
    draw->task = "extreme";
    strata_buffer_printf(draw->question, "Where is the %s %s? bbox_2d and label.", words[way],
                         strata_shape_name(shape));
    strata_synth_thing_name(draw->thought, best->thing);
    strata_buffer_text(draw->thought, ", ");
    append_place(draw->thought, best);
    strata_buffer_text(draw->answer, "[");
    append_box(draw, &best->bounds, strata_shape_name(shape));
    strata_buffer_text(draw->answer, "]");
}

void strata_synth_grounding(struct strata_synth_draw *draw) {
    static const struct {
        int others;
        double low, high;
    } levels[] = {{0, 21, 27}, {1, 16, 23}, {3, 12, 17}, {5, 9, 13}};
    if (draw->level == 5) {
        ground_extreme(draw);
        return;
    }
    unsigned l = draw->level - 1;
    struct scene scene = {0};
    struct strata_synth_thing target = strata_synth_any_thing(draw);
    put(draw, &scene, target, strata_synth_real(draw, levels[l].low, levels[l].high));
    for (int i = 0; i < levels[l].others; i++) {
        /* From level 3 on every other thing shares the target's colour or shape, never both. */
        struct strata_synth_thing thing = other_shape(draw, target.shape);
        if (draw->level >= 3 && i % 2) thing.colour = target.colour;
        if (draw->level >= 3 && i % 2 == 0) {
            thing.shape = target.shape;
            thing.colour =
                (target.colour + strata_synth_pick(draw, 1, STRATA_SYNTH_COLOURS - 1)) % STRATA_SYNTH_COLOURS;
        }
        put(draw, &scene, thing, strata_synth_real(draw, levels[l].low, levels[l].high));
    }
    struct strata_buffer name = {0};
    strata_synth_thing_name(&name, target);
    draw->task = "one";
    strata_buffer_printf(draw->question, "Where is the %s? bbox_2d and label.", strata_buffer_string(&name));
    append_place(draw->thought, &scene.items[0]);
    strata_buffer_text(draw->answer, "[");
    append_box(draw, &scene.items[0].bounds, strata_buffer_string(&name));
    strata_buffer_text(draw->answer, "]");
    strata_buffer_free(&name);
}

void strata_synth_counting(struct strata_synth_draw *draw) {
    static const struct {
        int least, most, others;
        double low, high;
    } levels[] = {{1, 3, 0, 12, 18}, {2, 5, 0, 10, 14}, {3, 6, 2, 9, 12}, {4, 8, 3, 8, 10}, {6, 12, 5, 6, 9}};
    unsigned l = draw->level - 1;
    struct scene scene = {0};
    enum strata_shape shape = strata_synth_any_shape(draw);
    int count = strata_synth_pick(draw, levels[l].least, levels[l].most);
    put_group(draw, &scene, shape, count, levels[l].others, levels[l].low, levels[l].high);
    draw->task = "shapes";
    strata_buffer_printf(draw->question, "How many %s%s are there?", strata_shape_name(shape),
                         shape == STRATA_SHAPE_CROSS ? "es" : "s");
    for (int i = 0; i < count; i++)
        strata_buffer_printf(draw->thought, "%s%s", i ? " " : "",
                             strata_synth_colour_name(scene.items[i].thing.colour));
    strata_buffer_printf(draw->answer, "%d", count);
}
