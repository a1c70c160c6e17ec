#include "eval/infer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

static const char *const kit_names[STRATA_KITS] = {"202507", "202511", "head"};

int strata_kit_parse(enum strata_kit *out, const char *name, struct strata_error *err) {
    for (int kit = 0; kit < STRATA_KITS; kit++) {
        if (strcmp(name, kit_names[kit]) == 0) {
            *out = (enum strata_kit)kit;
            return 0;
        }
    }
    strata_fail(err, STRATA_ERR_USAGE, "there is no kit version \"%s\"", name);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "202507, 202511 or head");
}

const char *strata_kit_name(enum strata_kit kit) {
    return kit_names[kit];
}

/* ---- options ---- */

void strata_choices_free(struct strata_choices *choices) {
    for (size_t i = 0; i < choices->count; i++) {
        free(choices->items[i].key);
        free(choices->items[i].text);
    }
    free(choices->items);
    *choices = (struct strata_choices){0};
}

int strata_choices_add(struct strata_choices *choices, const char *key, const json_t *value, struct strata_error *err) {
    int code = strata_grow(&choices->items, &choices->capacity, choices->count + 1, sizeof *choices->items, err);
    if (code) return code;
    struct strata_buffer text = {0};
    strata_buffer_text(&text, "");
    strata_python_str(&text, value);
    char *copy = strata_strdup(key);
    if (text.failed || !copy) {
        strata_buffer_free(&text);
        free(copy);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    choices->items[choices->count++] = (struct strata_choice){copy, text.data, text.length};
    return 0;
}

int strata_choices_from_row(struct strata_choices *choices, const json_t *row, struct strata_error *err) {
    int code = 0;
    for (char letter = 'A'; letter <= 'Z' && !code; letter++) {
        const char key[2] = {letter, '\0'};
        const json_t *cell = json_object_get(row, key);
        if (cell && !json_is_null(cell)) code = strata_choices_add(choices, key, cell, err);
    }
    return code;
}

int strata_choices_from_list(struct strata_choices *choices, const json_t *list, struct strata_error *err) {
    int code = 0;
    for (size_t i = 0; i < json_array_size(list) && !code; i++) {
        struct strata_buffer key = {0};
        strata_utf8_append(&key, (int32_t)('A' + i));
        code = strata_buffer_check(&key, err);
        if (!code) code = strata_choices_add(choices, key.data, json_array_get(list, i), err);
        strata_buffer_free(&key);
    }
    return code;
}

/* ---- letters ---- */

const char strata_api_failed[] = "Failed to obtain answer via API";

static bool contains(struct strata_span text, const char *part) {
    return strata_span_find(text, part, 0) != STRATA_NOT_FOUND;
}

static bool refuses(struct strata_span answer) {
    static const char *const phrases[] = {"Sorry, I can't help with images of people yet.",
                                          "I can't process this file.", "I'm sorry, but without the image provided",
                                          "Cannot determine the answer"};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (contains(answer, phrases[i])) return true;
    }
    return false;
}

/* The letter at text[at..) that equals `lower` when case is ignored as Python's re does: also the long s, the dotless
 * and the dotted i. Its size in bytes; 0: another one. */
static size_t letter_nocase(struct strata_span text, size_t at, char lower) {
    if (at >= text.length) return 0;
    if (strata_lower(text.data[at]) == lower) return 1;
    if (lower == 's' && strata_span_at(text, at, "\xC5\xBF")) return 2;
    if (lower == 'i' && (strata_span_at(text, at, "\xC4\xB0") || strata_span_at(text, at, "\xC4\xB1"))) return 2;
    return 0;
}

static bool word_nocase(struct strata_span text, size_t *at, const char *word) {
    size_t end = *at;
    for (; *word; word++) {
        size_t size = letter_nocase(text, end, *word);
        if (!size) return false;
        end += size;
    }
    *at = end;
    return true;
}

static bool spaces(struct strata_span text, size_t *at) {
    size_t begin = *at;
    while (*at < text.length) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text.data + *at, text.length - *at);
        if (!strata_utf8_space(code)) break;
        *at += size;
    }
    return *at > begin;
}

/* The first "answer is X" with X one of A to D, as a capital; 0: there is none. */
static char answer_is(struct strata_span text) {
    for (size_t begin = 0; begin < text.length; begin++) {
        size_t at = begin;
        if (!word_nocase(text, &at, "answer") || !spaces(text, &at) || !word_nocase(text, &at, "is") ||
            !spaces(text, &at))
            continue;
        while (at < text.length && text.data[at] == '*') at++;
        char letter = at < text.length ? strata_lower(text.data[at]) : '\0';
        if (letter >= 'a' && letter <= 'd') return (char)(letter - 'a' + 'A');
    }
    return '\0';
}

static const char *key_of(const struct strata_choices *choices, struct strata_span word) {
    for (size_t i = 0; i < choices->count; i++) {
        if (strata_span_is(word, choices->items[i].key)) return choices->items[i].key;
    }
    return NULL;
}

/* What the words say: how many different options occur, where the first of them stands, is there a Z. */
struct words {
    size_t total, options, first;
    const char *option; /* the first one's key */
    bool z;
};

static struct words look_at_words(struct strata_span answer, const struct strata_choices *choices) {
    struct words words = {0};
    struct strata_span word;
    for (; strata_python_word(&word, &answer); words.total++) {
        const char *key = key_of(choices, word);
        words.z = words.z || strata_span_is(word, "Z");
        if (!key || (words.options && key == words.option)) continue;
        if (!words.options) {
            words.option = key;
            words.first = words.total;
        }
        words.options++; /* two or more: how many no longer matters */
    }
    return words;
}

const char *strata_infer_option(struct strata_span answer, const struct strata_choices *choices, enum strata_kit kit) {
    if (contains(answer, strata_api_failed)) return NULL;
    if (refuses(answer)) return "Z";
    struct strata_buffer plain = {0};
    strata_buffer_append(&plain, answer.data, answer.length);
    for (size_t i = 0; i < plain.length; i++) {
        if (plain.data[i] && strchr(".()[],:;!*#{}", plain.data[i])) plain.data[i] = ' ';
    }
    struct words words = look_at_words((struct strata_span){plain.data, plain.length}, choices);
    strata_buffer_free(&plain);
    if (words.options == 1) {
        bool late = words.first + 5 > words.total; /* among the last four words */
        if (late || kit == STRATA_KIT_202507) return words.option;
    } else if (words.options == 0 && words.z) {
        return "Z";
    }
    if (kit != STRATA_KIT_HEAD) return NULL;
    const char letter[2] = {answer_is(answer), '\0'};
    return letter[0] ? key_of(choices, strata_span_of(letter)) : NULL;
}

/* ---- texts ---- */

static int lower_text(struct strata_choice *choice, struct strata_error *err) {
    struct strata_buffer lower = {0};
    strata_buffer_text(&lower, "");
    strata_python_lower(&lower, (struct strata_span){choice->text, choice->length});
    if (lower.failed) {
        strata_buffer_free(&lower);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    free(choice->text);
    choice->text = lower.data;
    choice->length = lower.length;
    return 0;
}

static int find_text(const char **key, struct strata_span answer, struct strata_choices *choices,
                     struct strata_error *err) {
    size_t hits = 0;
    for (size_t i = 0; i < choices->count; i++) {
        if (!strstr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", choices->items[i].key))
            return strata_fail(err, STRATA_ERR_INPUT, "AssertionError: option \"%s\" is no capital letter",
                               choices->items[i].key);
        int code = lower_text(&choices->items[i], err);
        if (code) return code;
    }
    for (size_t i = 0; i < choices->count; i++) {
        const struct strata_choice *choice = &choices->items[i];
        bool hit =
            choice->length == 0 || (answer.length && memmem(answer.data, answer.length, choice->text, choice->length));
        if (hit && hits++ == 0) *key = choice->key;
    }
    if (hits != 1) *key = NULL;
    return 0;
}

int strata_infer_text(const char **key, struct strata_span answer, struct strata_choices *choices, enum strata_kit kit,
                      struct strata_error *err) {
    struct strata_buffer lower = {0};
    *key = NULL;
    strata_python_lower(&lower, answer);
    int code = strata_buffer_check(&lower, err);
    struct strata_span text = {lower.data, lower.length};
    size_t together = 0;
    for (size_t i = 0; i < choices->count; i++)
        together += strata_python_length((struct strata_span){choices->items[i].text, choices->items[i].length});
    bool too_long = kit != STRATA_KIT_202507 && strata_python_length(text) > 2 * together;
    if (!code && !too_long) code = find_text(key, text, choices, err);
    strata_buffer_free(&lower);
    return code;
}

int strata_infer(const char **key, struct strata_span answer, struct strata_choices *choices, enum strata_kit kit,
                 struct strata_error *err) {
    *key = strata_infer_option(answer, choices, kit);
    return *key ? 0 : strata_infer_text(key, answer, choices, kit, err);
}
