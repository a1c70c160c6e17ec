/* Every parser of src/verify: the input is cut at its first NUL bytes into solution and completion, graded in all
 * modes. */
#include <stdint.h>
#include <string.h>

#include "verify/boxes.h"
#include "verify/literal.h"
#include "verify/rewards.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const abilities[] = {NULL, "math", "counting", "ocr", "cv_detection", "choice", "yesno", "word"};
    if (size < 2) return 0;
    const char *text = (const char *)data + 1;
    size_t length = size - 1;
    const char *cut = memchr(text, '\0', length);
    struct strata_verify_input input = {
        .solution = text,
        .solution_length = cut ? (size_t)(cut - text) : length / 2,
        .ability = abilities[data[0] % 8],
        .frame = {.gold = data[0] & 8 ? STRATA_COORDINATES_RELATIVE : STRATA_COORDINATES_SAME,
                  .answer = data[0] & 8 ? STRATA_COORDINATES_RESIZED : STRATA_COORDINATES_SAME,
                  .resized_width = 280,
                  .resized_height = 140}};
    size_t begin = cut ? input.solution_length + 1 : input.solution_length;
    input.completion = text + begin;
    input.completion_length = length - begin;
    struct strata_verdict verdict = {0};
    struct strata_buffer steps = {0};
    struct strata_error error;
    if (data[0] & 16) input.steps = &steps;
    for (int mode = STRATA_VERIFY_STRICT; mode <= STRATA_VERIFY_VISUAL_REASONING_ACCURACY; mode++) {
        strata_verify(&verdict, &input, (enum strata_verify_mode)mode, &error);
        strata_verify_check_gold(&input, (enum strata_verify_mode)mode, &error);
    }
    static const struct strata_reward_term terms[] = {{.kind = STRATA_REWARD_FORMAT, .weight = 1},
                                                      {.kind = STRATA_REWARD_TAGS, .weight = 1},
                                                      {.kind = STRATA_REWARD_REPETITION, .weight = 1, .ngram = 3},
                                                      {.kind = STRATA_REWARD_DETECTION, .weight = 1}};
    struct strata_reward_input reward = {.answer = &input};
    struct strata_reward_value values[4];
    double total;
    bool applicable;
    strata_reward(&total, &applicable, values, NULL, &reward, terms, 4, false, &error);
    struct strata_arena arena;
    strata_arena_init(&arena);
    for (int syntax = STRATA_LITERAL_JSON; syntax <= STRATA_LITERAL_LENIENT; syntax++) {
        strata_literal_parse(&arena, (struct strata_span){text, length}, (enum strata_literal_syntax)syntax, NULL);
    }
    strata_arena_free(&arena);
    strata_verdict_free(&verdict);
    strata_buffer_free(&steps);
    return 0;
}
