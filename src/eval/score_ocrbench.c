/* OCRBench: is one of the answers contained in the prediction? */
#include <string.h>

#include "eval/score.h"

static const char formulas[] = "Handwritten Mathematical Expression Recognition";
/* The first six count together as Text Recognition. */
static const char *const categories[] = {"Regular Text Recognition",   "Irregular Text Recognition",
                                         "Artistic Text Recognition",  "Handwriting Recognition",
                                         "Digit String Recognition",   "Non-Semantic Text Recognition",
                                         "Scene Text-centric VQA",     "Doc-oriented VQA",
                                         "Key Information Extraction", formulas};
enum { CATEGORIES = 10, TEXTS = 6 };

/* Text as it is compared: stripped, line breaks as blanks; formulas without any blank, other texts in lower case. */
static void comparable(struct strata_buffer *out, struct strata_span text, bool formula) {
    struct strata_buffer lower = {0};
    if (!formula) {
        strata_python_lower(&lower, text);
        text = (struct strata_span){strata_buffer_string(&lower), lower.length};
    }
    text = strata_span_strip(text);
    for (size_t i = 0; i < text.length; i++) {
        bool blank = text.data[i] == '\n' || text.data[i] == ' ';
        if (!blank) strata_buffer_byte(out, (unsigned char)text.data[i]);
        if (blank && !formula) strata_buffer_byte(out, ' ');
    }
    out->failed = out->failed || lower.failed;
    strata_buffer_free(&lower);
}

static int matches(bool *hit, const json_t *answers, const struct strata_buffer *prediction, bool formula,
                   struct strata_error *err) {
    struct strata_buffer answer = {0};
    int code = 0;
    *hit = false;
    for (size_t i = 0; i < json_array_size(answers) && !*hit && !code; i++) {
        const json_t *item = json_array_get(answers, i);
        if (!json_is_string(item))
            return strata_fail(err, STRATA_ERR_INPUT, "AttributeError: an answer that is no text");
        strata_buffer_clear(&answer);
        comparable(&answer, (struct strata_span){json_string_value(item), json_string_length(item)}, formula);
        *hit = answer.length == 0 ||
               (prediction->length && memmem(prediction->data, prediction->length, answer.data, answer.length));
        code = strata_buffer_check(&answer, err);
    }
    strata_buffer_free(&answer);
    return code;
}

int strata_ocrbench_hit(bool *hit, const json_t *row, bool typed, struct strata_error *err) {
    const json_t *cell, *category;
    json_t *answers = NULL;
    struct strata_buffer text = {0}, prediction = {0};
    int code = strata_row_cell(&cell, row, "prediction", err);
    if (!code) code = strata_row_list(&answers, row, "answer", typed, err);
    if (!code) code = strata_row_cell(&category, row, "category", err);
    if (!code) {
        bool formula = json_is_string(category) && strcmp(json_string_value(category), formulas) == 0;
        strata_python_cell(&text, cell);
        comparable(&prediction, (struct strata_span){strata_buffer_string(&text), text.length}, formula);
        code = matches(hit, answers, &prediction, formula, err);
    }
    if (!code) code = strata_buffer_check(&prediction, err);
    strata_buffer_free(&text);
    strata_buffer_free(&prediction);
    json_decref(answers);
    return code;
}

static int category_of(const json_t *row, struct strata_error *err) {
    const char *name = json_string_value(json_object_get(row, "category"));
    for (int i = 0; i < CATEGORIES && name; i++) {
        if (strcmp(name, categories[i]) == 0) return i;
    }
    strata_fail(err, STRATA_ERR_INPUT, "KeyError: OCRBench has no category \"%s\"", name ? name : "nan");
    return -1;
}

int strata_score_ocrbench(json_t **metrics, const json_t *rows, struct strata_error *err) {
    json_int_t hits[CATEGORIES] = {0}, texts = 0, total = 0;
    size_t index;
    json_t *row;
    bool typed = strata_cells_typed(rows, "answer");
    *metrics = NULL;
    json_array_foreach(rows, index, row) {
        bool hit;
        int code = strata_ocrbench_hit(&hit, row, typed, err);
        if (code) return code;
        if (!hit) continue;
        int category = category_of(row, err);
        if (category < 0) return STRATA_ERR_INPUT;
        hits[category]++;
    }
    for (int i = 0; i < CATEGORIES; i++) {
        total += hits[i];
        if (i < TEXTS) texts += hits[i];
    }
    json_t *all = json_pack("{s:I}", "Text Recognition", texts);
    for (int i = TEXTS; i < CATEGORIES && all; i++) json_object_set_new(all, categories[i], json_integer(hits[i]));
    json_object_set_new(all, "Final Score", json_integer(total));
    if (json_object_set_new(all, "Final Score Norm", json_real((double)total / 10))) {
        json_decref(all);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    *metrics = all;
    return 0;
}
