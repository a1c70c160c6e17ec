#include "eval/benchmark.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/utf8.h"

const struct strata_benchmark_facts strata_benchmarks[STRATA_BENCHMARKS] = {
    [STRATA_MATHVISTA] = {"MathVista",
                          "MathVista_MINI",
                          "f199b98e178e5a2a20e7048f5dcb0464",
                          "Overall acc",
                          {68.300, 67.600, 69.000, 68.300},
                          1000,
                          false,
                          5,
                          true},
    [STRATA_MMVET] = {"MM-Vet",
                      "MMVet",
                      "748aa6d4aa9d4de798306a63718455e3",
                      "Overall acc",
                      {48.257, 52.477, 48.578, 50.367},
                      218,
                      false,
                      5,
                      true},
    [STRATA_OCRBENCH] = {"OCRBench",
                         "OCRBench",
                         "e953d98a987cc6e26ef717b61260b778",
                         "Final Score Norm",
                         {77.800, 77.600, 77.100, 76.800},
                         1000,
                         false,
                         0,
                         false},
    [STRATA_HALLUSIONBENCH] = {"HallusionBench",
                               "HallusionBench",
                               "0c23ac0dc9ef46832d7a24504f2a0c7c",
                               "Overall aAcc",
                               {68.770, 69.716, 69.085, 68.244},
                               951,
                               false,
                               5,
                               false},
    [STRATA_MMMU] = {"MMMU",
                     "MMMU_DEV_VAL",
                     "585e8ad75e73f75dcad265dfd0417d64",
                     "validation Overall",
                     {0.547, 0.544, 0.542, 0.550},
                     1050,
                     true,
                     3,
                     false},
    [STRATA_MMSTAR] = {"MMStar",
                       "MMStar",
                       "e1ecd2140806c1b1bbf54b43372efb9e",
                       "Overall",
                       {0.639, 0.625, 0.628, 0.629},
                       1500,
                       true,
                       3,
                       false},
};

int strata_benchmark_parse(enum strata_benchmark *out, const char *name, struct strata_error *err) {
    for (int i = 0; i < STRATA_BENCHMARKS; i++) {
        const struct strata_benchmark_facts *facts = &strata_benchmarks[i];
        if (strcasecmp(name, facts->name) != 0 && strcasecmp(name, facts->dataset) != 0) continue;
        *out = (enum strata_benchmark)i;
        return 0;
    }
    strata_fail(err, STRATA_ERR_USAGE, "there is no benchmark \"%s\"", name);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "MathVista, MMVet, OCRBench, HallusionBench, MMMU or MMStar");
}

int strata_row_cell(const json_t **out, const json_t *row, const char *column, struct strata_error *err) {
    *out = json_object_get(row, column);
    return *out ? 0 : strata_fail(err, STRATA_ERR_INPUT, "KeyError: there is no column \"%s\"", column);
}

int strata_python_items(json_t **out, const json_t *value, struct strata_error *err) {
    *out = NULL;
    if (json_is_array(value)) {
        *out = json_deep_copy(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t length = json_string_length(value);
        *out = json_array();
        for (size_t at = 0; at < length && *out;) {
            int32_t code;
            size_t size = strata_utf8_next(&code, text + at, length - at);
            json_array_append_new(*out, json_stringn_nocheck(text + at, size));
            at += size;
        }
    } else {
        return strata_fail(err, STRATA_ERR_INPUT, "TypeError: a single value where a list is needed");
    }
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

int strata_row_list(json_t **out, const json_t *row, const char *column, bool typed, struct strata_error *err) {
    const json_t *cell;
    json_t *value = NULL;
    *out = NULL;
    int code = strata_row_cell(&cell, row, column, err);
    if (!code && !json_is_string(cell))
        code = strata_fail(err, STRATA_ERR_INPUT, "%s: column \"%s\" holds no text",
                           typed ? "SyntaxError" : "TypeError", column);
    if (!code)
        code = strata_python_eval(&value, (struct strata_span){json_string_value(cell), json_string_length(cell)}, err);
    if (!code) code = strata_python_items(out, value, err);
    json_decref(value);
    return code;
}

int strata_text_list(json_t **out, struct strata_span text, struct strata_error *err) {
    json_t *items = NULL, *value = NULL, *list = json_array();
    *out = NULL;
    if (!list) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = 0;
    if (text.length > 1 && text.data[0] == '[' && text.data[text.length - 1] == ']') {
        code = strata_python_eval(&value, text, err);
        if (!code) code = strata_python_items(&items, value, err);
        for (size_t i = 0; i < json_array_size(items) && !code; i++) {
            struct strata_buffer item = {0};
            strata_python_str(&item, json_array_get(items, i));
            if (json_array_append_new(list, json_stringn_nocheck(strata_buffer_string(&item), item.length)))
                code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
            strata_buffer_free(&item);
        }
    } else if (json_array_append_new(list, json_stringn_nocheck(text.data ? text.data : "", text.length))) {
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    json_decref(value);
    json_decref(items);
    if (code) {
        json_decref(list);
    } else {
        *out = list;
    }
    return code;
}

/* ---- images ---- */

/* Slots by index: of two rows with one index the later one's image counts, as in a Python dictionary. */
static int image_slots(json_t *slots, const struct strata_image_cell *cells, size_t count, struct strata_error *err) {
    for (size_t i = 0; i < count; i++) {
        json_t *known = json_object_get(slots, cells[i].index);
        int failed = known ? json_integer_set(known, (json_int_t)i)
                           : json_object_set_new(slots, cells[i].index, json_integer((json_int_t)i));
        if (failed) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    return 0;
}

int strata_images_resolve(struct strata_image_cell *cells, size_t count, enum strata_kit kit, bool keep_bad,
                          struct strata_error *err) {
    json_t *slots = json_object(), *slot;
    if (!slots) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = image_slots(slots, cells, count, err);
    const char *index;
    json_object_foreach(slots, index, slot) {
        struct strata_image_cell *cell = &cells[json_integer_value(slot)];
        bool empty = cell->text.length == 0 && kit == STRATA_KIT_HEAD;
        if (code || empty || cell->text.length > STRATA_IMAGE_REFERENCE) continue;
        char name[STRATA_IMAGE_REFERENCE + 1];
        if (cell->text.length) memcpy(name, cell->text.data, cell->text.length);
        name[cell->text.length] = '\0';
        const json_t *target = json_object_get(slots, name);
        struct strata_span image = target ? cells[json_integer_value(target)].text : strata_span_of("");
        if (image.length > STRATA_IMAGE_REFERENCE) {
            cell->text = image;
        } else if (!keep_bad) {
            code = strata_fail(err, STRATA_ERR_INPUT, "AssertionError: row \"%s\" shares the image of \"%s\", which %s",
                               index, name, target ? "has none of its own" : "does not exist");
        }
    }
    for (size_t i = 0; i < count && !code; i++)
        cells[i].text = cells[json_integer_value(json_object_get(slots, cells[i].index))].text;
    json_decref(slots);
    return code;
}

/* ---- prompts ---- */

void strata_parts_free(struct strata_parts *parts) {
    for (size_t i = 0; i < parts->count; i++) free(parts->items[i].text);
    free(parts->items);
    *parts = (struct strata_parts){0};
}

static int add_part(struct strata_parts *parts, bool image, size_t index, struct strata_span text,
                    struct strata_error *err) {
    int code = strata_grow(&parts->items, &parts->capacity, parts->count + 1, sizeof *parts->items, err);
    if (code) return code;
    struct strata_part *part = &parts->items[parts->count];
    *part = (struct strata_part){.image = image, .index = index};
    if (!image) {
        code = strata_alloc(&part->text, text.length + 1, 1, err);
        if (code) return code;
        if (text.length) memcpy(part->text, text.data, text.length);
    }
    parts->count++;
    return 0;
}

/* Images first, then the text. */
static int images_then_text(struct strata_parts *parts, size_t images, struct strata_span text,
                            struct strata_error *err) {
    int code = 0;
    for (size_t i = 0; i < images && !code; i++) code = add_part(parts, true, i, text, err);
    return code ? code : add_part(parts, false, 0, text, err);
}

/* MMMU: each "<image N>" of the text becomes image N. */
static int images_in_text(struct strata_parts *parts, size_t images, struct strata_span text,
                          struct strata_error *err) {
    static const char mark[] = "<image ";
    size_t at = strata_span_find(text, mark, 0);
    if (at == STRATA_NOT_FOUND) return images_then_text(parts, images, text, err);
    int code = add_part(parts, false, 0, strata_span_sub(text, 0, at), err);
    while (!code && at != STRATA_NOT_FOUND) {
        size_t begin = at + strlen(mark), next = strata_span_find(text, mark, begin);
        size_t end = next == STRATA_NOT_FOUND ? text.length : next;
        if (begin == end) return strata_fail(err, STRATA_ERR_INPUT, "IndexError: nothing follows \"<image \"");
        if (!strata_is_digit(text.data[begin]))
            return strata_fail(err, STRATA_ERR_INPUT, "AssertionError: \"<image \" without a number");
        if (begin + 1 == end) return strata_fail(err, STRATA_ERR_INPUT, "IndexError: \"<image \" is never closed");
        if (text.data[begin + 1] != '>')
            return strata_fail(err, STRATA_ERR_INPUT, "AssertionError: \"<image \" with more than one digit");
        size_t digit = (size_t)(text.data[begin] - '0');
        if (digit > images || images == 0)
            return strata_fail(err, STRATA_ERR_INPUT, "IndexError: <image %zu>, and there are %zu images", digit,
                               images);
        code = add_part(parts, true, digit ? digit - 1 : images - 1, text, err);
        if (!code) code = add_part(parts, false, 0, strata_span_sub(text, begin + 2, end), err);
        at = next;
    }
    return code;
}

static void labelled(struct strata_buffer *out, const char *label, const json_t *cell) {
    strata_buffer_text(out, label);
    strata_python_cell(out, cell);
    strata_buffer_byte(out, '\n');
}

static int choice_text(struct strata_buffer *out, const json_t *row, const json_t *question, struct strata_error *err) {
    struct strata_choices choices = {0};
    const json_t *hint = json_object_get(row, "hint");
    int code = strata_choices_from_row(&choices, row, err);
    if (hint && !json_is_null(hint)) labelled(out, "Hint: ", hint);
    labelled(out, "Question: ", question);
    if (choices.count) strata_buffer_text(out, "Options:\n");
    for (size_t i = 0; i < choices.count; i++)
        strata_buffer_printf(out, "%s. %s\n", choices.items[i].key, choices.items[i].text);
    if (choices.count) strata_buffer_text(out, "Please select the correct answer from the options above. \n");
    strata_choices_free(&choices);
    return code ? code : strata_buffer_check(out, err);
}

int strata_benchmark_prompt(struct strata_parts *out, const json_t *row, size_t images, enum strata_benchmark benchmark,
                            struct strata_error *err) {
    struct strata_buffer text = {0};
    const json_t *question;
    int code = strata_row_cell(&question, row, "question", err);
    if (!code && strata_benchmarks[benchmark].choices) code = choice_text(&text, row, question, err);
    if (!code && !strata_benchmarks[benchmark].choices) strata_python_cell(&text, question);
    if (!code) code = strata_buffer_check(&text, err);
    struct strata_span span = {strata_buffer_string(&text), text.length};
    if (!code && benchmark == STRATA_MMMU) code = images_in_text(out, images, span, err);
    if (!code && benchmark != STRATA_MMMU) code = images_then_text(out, images, span, err);
    strata_buffer_free(&text);
    return code;
}

void strata_split_thinking(struct strata_span *prediction, struct strata_span *thinking, struct strata_buffer *joined,
                           struct strata_span text) {
    static const char open[] = "<think>", close[] = "</think>";
    size_t last = strata_span_find_last(text, close, text.length);
    *prediction = text;
    *thinking = strata_span_of("");
    if (last == STRATA_NOT_FOUND) return;
    *prediction = strata_span_strip(strata_span_sub(text, last + strlen(close), text.length));
    size_t opened = strata_span_find(text, open, 0);
    bool once = strata_span_find(text, close, 0) == last && opened != STRATA_NOT_FOUND && opened < last;
    if (!once) {
        strata_buffer_append(joined, text.data, last + strlen(close));
        *thinking = (struct strata_span){strata_buffer_string(joined), joined->length};
        return;
    }
    struct strata_span inner = strata_span_sub(text, opened + strlen(open), last);
    size_t again = strata_span_find(inner, open, 0); /* only what stands between the first two counts */
    *thinking = strata_span_strip(again == STRATA_NOT_FOUND ? inner : strata_span_sub(inner, 0, again));
}
