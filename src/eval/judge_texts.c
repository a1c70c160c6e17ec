/* What a judge is told before the question. The default words are ours; the kit's own can be read from its sources. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "eval/judge.h"

static const char choice_english[] =
    "Your task is to decide which option of a single-choice question an answer means. You see the question, its "
    "options "
    "and the answer. Choose the option whose meaning is closest to the answer. If the answer means something clearly "
    "different from every option, write Z. Reply with exactly one capital letter: one of the letters of the options, "
    "or "
    "Z.\n"
    "First example:\n"
    "Question: Which animal lies on the sofa?\nOptions: A. cat B. dog C. parrot D. hamster\n"
    "Answer: a sleeping kitten\nYour output: A\n"
    "Second example:\n"
    "Question: Which animal lies on the sofa?\nOptions: A. cat B. dog C. parrot D. hamster\n"
    "Answer: a bicycle\nYour output: Z\n"
    "Now yours:\n"
    "Question: ";

static const char choice_chinese[] =
    "请判断一个答案对应单选题的哪个选项。下面会给出问题、选项和答案，请选出含义最接近该答案的选项。"
    "如果答案与所有选项的含义都明显不同，请输出 Z。只输出一个大写字母：某个选项的字母，或者 Z。\n"
    "第一个例子：\n问题: 沙发上是什么动物?\n选项: A. 猫 B. 狗 C. 鹦鹉 D. 仓鼠\n答案: 一只睡着的小猫\n输出: A\n"
    "第二个例子：\n问题: 沙发上是什么动物?\n选项: A. 猫 B. 狗 C. 鹦鹉 D. 仓鼠\n答案: 一辆自行车\n输出: Z\n"
    "现在轮到你：\n问题: ";

static const char yes_no[] =
    "Your task is to decide whether an answer to a yes-or-no question means Yes or No. You see the question and the "
    "answer. If the answer means neither, write Unknown. Reply with exactly one word: Yes, No or Unknown.\n"
    "First example:\n"
    "Question: Is the traffic light red?\nAnswer: The light shows red.\nYour output: Yes\n"
    "Second example:\n"
    "Question: Is the traffic light red?\nAnswer: The light is green, not red.\nYour output: No\n"
    "Now yours:\n"
    "Question: ";

static const char mathvista[] =
    "Each example below shows a question, what a model said, and the short final answer taken out of it. Take the "
    "final "
    "answer out of the last response in the same way, and write nothing else.\n\n"
    "Hint: Please answer with an integer, e.g., 1, 2, 3, at the end.\n"
    "Question: How many chairs stand at the table?\n"
    "Model response: Counting both sides, I see 6 chairs.\n"
    "Extracted answer: 6\n\n"
    "Hint: Please answer with a number with one decimal place, e.g., 1.2, 1.3, 1.4, at the end.\n"
    "Question: What share of the marbles is blue?\n"
    "Model response: Three of ten marbles are blue, which is a share of 0.3.\n"
    "Extracted answer: 0.3\n\n"
    "Hint: Please answer with a number with two decimal places, e.g., 1.23, 1.34, 1.45, at the end.\n"
    "Question: What do the pencil and the ruler cost together? (Unit: $)\n"
    "Model response: Together they cost $2.15.\n"
    "Extracted answer: 2.15\n\n"
    "Hint: Please answer with a Python list, e.g., [1, 2, 3], [1.2, 1.3, 1.4], at the end.\n"
    "Question: Between which two years did sales fall?\n"
    "Model response: Sales fell between 2011 and 2012.\n"
    "Extracted answer: [2011, 2012]\n\n"
    "Hint: Please answer with the letter of the correct option, e.g., A, B, C, D, at the end.\n"
    "Question: How large is the marked angle?\n"
    "Choices: (A) 30 (B) 45 (C) 60 (D) 90\n"
    "Model response: It is half a right angle, so (B) 45.\n"
    "Extracted answer: B\n\n";

static const char mmvet[] =
    "Grade each prediction against the ground truth with a correctness score from 0.0 (all wrong) to 1.0 (all right) "
    "in "
    "steps of 0.1. Where the ground truth has parts joined by <AND>, only a prediction with all of them is all right; "
    "where it has parts joined by <OR>, any one of them is enough. Fill in the last score of the table and write "
    "nothing "
    "else.\n\n"
    "Question | Ground truth | Prediction | Correctness\n"
    "--- | --- | --- | ---\n"
    "Which fruits are in the bowl? | apple <AND> pear | a lemon | 0.0\n"
    "Which fruits are in the bowl? | apple <AND> pear | an apple | 0.5\n"
    "Which fruits are in the bowl? | apple <AND> pear | a pear | 0.5\n"
    "Which fruits are in the bowl? | apple <AND> pear | a pear and a plum | 0.5\n"
    "Which fruits are in the bowl? | apple <AND> pear | an apple and a pear | 1.0\n"
    "Why is the sign funny? | It says the lift is out of order and sends people to the stairs, which are closed too. | "
    "It shows that the lift does not work. | 0.4\n"
    "Why is the sign funny? | It says the lift is out of order and sends people to the stairs, which are closed too. | "
    "The lift is broken, and the stairs it points to as the way out are shut as well. | 1.0\n";

void strata_judge_texts_free(struct strata_judge_texts *texts) {
    free(texts->choice_english);
    free(texts->choice_chinese);
    free(texts->yes_no);
    free(texts->mathvista);
    free(texts->mmvet);
    *texts = (struct strata_judge_texts){0};
}

int strata_judge_texts_ours(struct strata_judge_texts *out, struct strata_error *err) {
    *out = (struct strata_judge_texts){strata_strdup(choice_english), strata_strdup(choice_chinese),
                                       strata_strdup(yes_no), strata_strdup(mathvista), strata_strdup(mmvet)};
    if (out->choice_english && out->choice_chinese && out->yes_no && out->mathvista && out->mmvet) return 0;
    strata_judge_texts_free(out);
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* ---- from the kit's sources ---- */

/* The Python string literal(s) that follow `after` in the function `def name(`, as one text. */
static int literal_in(struct strata_buffer *out, const struct strata_buffer *source, const char *name,
                      const char *after, const char *path, struct strata_error *err) {
    struct strata_span text = {strata_buffer_string(source), source->length};
    char define[96];
    snprintf(define, sizeof define, "def %s(", name);
    size_t at = strata_span_find(text, define, 0);
    size_t begin = at == STRATA_NOT_FOUND ? at : strata_span_find(text, after, at);
    if (begin != STRATA_NOT_FOUND) begin += strlen(after);
    /* The longest text that is a literal ends where the statement does: try line ends from the start on. */
    for (size_t end = begin; end != STRATA_NOT_FOUND && end < text.length;) {
        end = strata_span_find(text, "\n", end + 1);
        json_t *value = NULL;
        if (end == STRATA_NOT_FOUND || strata_python_eval(&value, strata_span_sub(text, begin, end), NULL)) continue;
        if (json_is_string(value)) strata_buffer_append(out, json_string_value(value), json_string_length(value));
        bool found = json_is_string(value);
        json_decref(value);
        if (found) return strata_buffer_check(out, err);
    }
    strata_fail(err, STRATA_ERR_INPUT, "cannot find the prompt of %s() in the kit's sources", name);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
}

/* The part of a format string before its first "{}". */
static char *before_first_field(const struct strata_buffer *text) {
    const char *field = strstr(strata_buffer_string(text), "{}");
    char *head = strata_strdup(strata_buffer_string(text));
    if (head && field) head[field - strata_buffer_string(text)] = '\0';
    return head;
}

static int read_head(char **out, const char *directory, const char *file, const char *name, struct strata_error *err) {
    struct strata_buffer source = {0}, text = {0};
    char *path = strata_path_join(directory, file);
    int code =
        path ? strata_file_read(&source, path, 1 << 22, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = literal_in(&text, &source, name, "tmpl = ", path, err);
    if (!code) {
        *out = before_first_field(&text);
        if (!*out) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    strata_buffer_free(&source);
    strata_buffer_free(&text);
    free(path);
    return code;
}

/* MathVista: the task, then each of five examples with a line break after it. */
static int read_mathvista(struct strata_buffer *out, const struct strata_buffer *source, const char *path,
                          struct strata_error *err) {
    int code = literal_in(out, source, "build_mathvista_gpt4_prompt", "task_description = ", path, err);
    for (int example = 1; example <= 5 && !code; example++) {
        char after[32];
        snprintf(after, sizeof after, "example_%d = ", example);
        code = literal_in(out, source, "get_gpt4_ICE", after, path, err);
        strata_buffer_byte(out, '\n');
    }
    return code;
}

static int read_long(char **out, const char *directory, const char *file, bool examples, struct strata_error *err) {
    struct strata_buffer source = {0}, text = {0};
    char *path = strata_path_join(directory, file);
    int code =
        path ? strata_file_read(&source, path, 1 << 22, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && examples) code = read_mathvista(&text, &source, path, err);
    if (!code && !examples) {
        code = literal_in(&text, &source, "build_mmvet_gpt4_prompt", "prompt = ", path, err);
        strata_buffer_byte(&text, '\n');
    }
    if (!code) code = strata_buffer_check(&text, err);
    if (code) {
        strata_buffer_free(&text);
    } else {
        *out = text.data;
    }
    strata_buffer_free(&source);
    free(path);
    return code;
}

int strata_judge_texts_kit(struct strata_judge_texts *out, const char *directory, struct strata_error *err) {
    static const char choices[] = "vlmeval/dataset/utils/multiple_choice.py";
    *out = (struct strata_judge_texts){0};
    int code = read_head(&out->choice_english, directory, choices, "build_prompt", err);
    if (!code) code = read_head(&out->choice_chinese, directory, choices, "build_prompt_cn", err);
    if (!code) code = read_head(&out->yes_no, directory, "vlmeval/dataset/utils/yorn.py", "YOrN_match_prompt", err);
    if (!code) code = read_long(&out->mathvista, directory, "vlmeval/dataset/utils/mathvista.py", true, err);
    if (!code) code = read_long(&out->mmvet, directory, "vlmeval/dataset/utils/mmvet.py", false, err);
    if (code) strata_judge_texts_free(out);
    return code;
}
