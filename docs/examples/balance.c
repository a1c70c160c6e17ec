/* Asks a model one question about an image, grades the answer, and says how attention divided between image and text.
 *
 *     cc balance.c $(pkg-config --cflags --libs strata) -o balance
 *     ./balance models/easyvqa-tiny shape.png "what shape is in the image?" circle */
#include <stdio.h>
#include <strata/strata.h>

static int complain(const struct strata_error *err) {
    char line[1400];
    fprintf(stderr, "%s\n", strata_error_line(err, line, sizeof line));
    return 1;
}

static int describe(const struct strata_reply *reply, struct strata_error *err) {
    double rho;
    size_t rows, columns, begin, count;
    const char *kind;
    const float *map = strata_reply_map(reply, 0, &rows, &columns);
    if (strata_reply_balance(&rho, NULL, NULL, reply, NULL, err)) return err->code;
    printf("answer   %s (%zu tokens)\nbalance  %.4f\n", strata_reply_text(reply, NULL), strata_reply_tokens(reply),
           rho);
    for (size_t s = 0; (kind = strata_reply_segment(reply, s, &begin, &count, NULL)); s++)
        printf("segment  %-9s tokens %zu to %zu\n", kind, begin, begin + count - 1);
    for (size_t r = 0; map && r < rows; r++) {
        for (size_t c = 0; c < columns; c++) printf("%s%.4f", c ? " " : "map      ", (double)map[r * columns + c]);
        putchar('\n');
    }
    return 0;
}

static int grade(const struct strata_reply *reply, const char *solution, struct strata_error *err) {
    struct strata_grade *grade;
    struct strata_grade_input input = {.size = sizeof input, .solution = solution};
    input.completion = strata_reply_text(reply, &input.completion_length);
    if (strata_grade(&grade, &input, err)) return err->code;
    printf("grade    %s (%s)\n", strata_grade_correct(grade) ? "right" : "wrong", strata_grade_reason(grade));
    strata_grade_free(grade);
    return 0;
}

int main(int argc, char **argv) {
    struct strata_error err;
    struct strata_vlm *vlm;
    struct strata_reply *reply;
    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL IMAGE QUESTION SOLUTION\n", argv[0]);
        return 2;
    }
    if (strata_vlm_open(&vlm, argv[1], NULL, &err)) return complain(&err);
    struct strata_vlm_turn turn = {STRATA_TURN_USER, argv[3]};
    struct strata_vlm_image image = {.path = argv[2]};
    struct strata_vlm_prompt prompt = {.size = sizeof prompt,
                                       .turns = &turn,
                                       .turn_count = 1,
                                       .images = &image,
                                       .image_count = 1,
                                       .max_new_tokens = 32,
                                       .want = STRATA_WANT_ATTENTION | STRATA_WANT_MAP};
    int code = strata_vlm_generate(&reply, vlm, &prompt, &err);
    if (!code) {
        code = describe(reply, &err);
        if (!code) code = grade(reply, argv[4], &err);
        strata_reply_free(reply);
    }
    strata_vlm_close(vlm);
    return code ? complain(&err) : 0;
}
