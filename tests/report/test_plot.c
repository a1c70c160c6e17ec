/* Plots and escaping: well-formed, numbers in their places, hostile text harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "report/html.h"
#include "report/plot.h"

/* Is text one XML element whose tags nest, whose attributes are quoted, and whose every & begins a reference? */
static bool is_well_formed(const char *text) {
    char stack[16][32];
    size_t depth = 0, roots = 0;
    for (const char *at = text; *at;) {
        if (*at == '&') {
            size_t length = strcspn(at, ";");
            if (length > 6 || !at[length]) return false;
            at += length + 1;
        } else if (*at != '<') {
            if (depth == 0 && *at != '\n') return false;
            if ((unsigned char)*at < 0x20 && *at != '\n') return false;
            at++;
        } else {
            bool closing = at[1] == '/', quoted = false;
            const char *name = at + 1 + closing, *end = name;
            size_t length = strcspn(name, " />\n");
            for (; *end && (quoted || *end != '>'); end++) {
                if (*end == '"') quoted = !quoted;
                if (*end == '<') return false;
            }
            if (!*end || length == 0 || length > 31) return false;
            if (closing) {
                if (depth == 0 || strlen(stack[depth - 1]) != length || memcmp(stack[depth - 1], name, length) != 0)
                    return false;
                depth--;
            } else if (end[-1] != '/') {
                roots += depth == 0;
                if (depth == 16) return false;
                memcpy(stack[depth], name, length);
                stack[depth++][length] = '\0';
            }
            at = end + 1;
        }
    }
    return depth == 0 && roots == 1;
}

static void test_the_checker_can_fail(void **state) {
    (void)state;
    assert_true(is_well_formed("<a b=\"&lt;\"><c/>x</a>\n"));
    assert_false(is_well_formed("<a><b></a></b>"));
    assert_false(is_well_formed("<a>x & y</a>"));
    assert_false(is_well_formed("<a></a><a></a>"));
    assert_false(is_well_formed("<a>\x01</a>"));
}

static const char hostile[] = "</script><b a='\"'>&\x01\x7f\xff\xEF\xBF\xBE";

static void test_escape(void **state) {
    (void)state;
    struct strata_buffer out = {0};
    strata_html_text(&out, hostile);
    assert_string_equal(out.data, "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;"
                                  "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    strata_buffer_free(&out);
}

static void test_json_cannot_leave_its_element(void **state) {
    (void)state;
    struct strata_buffer out = {0};
    json_t *value = json_pack("{s:s}", "text", "</script><!--&\x01"), *back;
    strata_html_json(&out, "data", value);
    static const char before[] = "<script type=\"application/json\" id=\"data\">", after[] = "</script>\n";
    assert_int_equal(memcmp(out.data, before, strlen(before)), 0);
    assert_string_equal(out.data + out.length - strlen(after), after);
    size_t length = out.length - strlen(before) - strlen(after);
    assert_null(memchr(out.data + strlen(before), '<', length));
    assert_int_equal(strata_json_parse(&back, out.data + strlen(before), length, "page", 1, NULL), 0);
    assert_true(json_equal(value, back));
    json_decref(back);
    json_decref(value);
    strata_buffer_free(&out);
}

/* RFC 4648, section 10. */
static void test_base64(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                                           {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct strata_buffer out = {0};
        strata_html_png_url(&out, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(out.data + strlen("data:image/png;base64,"), pairs[i][1]);
        strata_buffer_free(&out);
    }
}

static void test_axes(void **state) {
    (void)state;
    static const double highs[] = {1, 3, 7, 40, 99, 12345, 0.03};
    struct strata_plot_axis axis;
    for (size_t i = 0; i < sizeof highs / sizeof *highs; i++) {
        strata_plot_linear(&axis, 0, highs[i], NULL);
        assert_true(axis.tick_count >= 3 && axis.tick_count <= 6);
        assert_true(axis.high >= highs[i] * (1 - 1e-9) && axis.high <= 2 * highs[i]);
    }
    strata_plot_linear(&axis, 0, 0, NULL); /* nothing counted: still an axis */
    assert_true(axis.high > axis.low);
    strata_plot_logarithmic(&axis, 0.05, 200, NULL);
    assert_int_equal(axis.tick_count, 4);
    assert_true(fabs(axis.ticks[0] - 0.1) < 1e-12 && fabs(axis.ticks[3] - 100) < 1e-9);
}

static struct strata_plot example(void) {
    struct strata_plot plot = {.id = "p", .title = hostile, .description = "d", .width = 260, .height = 250, .top = 10};
    strata_plot_linear(&plot.x, 0, 1, hostile);
    strata_plot_linear(&plot.y, 0, 10, NULL);
    return plot;
}

static void test_places(void **state) {
    (void)state;
    struct strata_plot plot = example();
    /* The plane is 46..246 wide and 10..210 high. */
    assert_true(fabs(strata_plot_x(&plot, 0.25) - 96) < 1e-9);
    assert_true(fabs(strata_plot_y(&plot, 2.5) - 160) < 1e-9);
    assert_true(strata_plot_x(&plot, -5) == 46 && strata_plot_x(&plot, 5) == 246);
    strata_plot_logarithmic(&plot.x, 0.01, 100, NULL);
    assert_true(fabs(strata_plot_x(&plot, 1) - 146) < 1e-9);
    assert_true(fabs(strata_plot_x(&plot, 10) - 196) < 1e-9);
}

static void test_lines(void **state) {
    (void)state;
    struct strata_plot plot = example();
    struct strata_buffer out = {0};
    const double x[] = {0, 0.25, 0.5, 1}, y[] = {0, 2.5, (double)NAN, 10}, error[] = {0, 1, 0, 0};
    struct strata_plot_line line = {.name = hostile, .x = x, .y = y, .error = error, .count = 4, .colour = 4};
    strata_plot_lines(&out, &plot, &line, 1);
    assert_int_equal(strata_buffer_check(&out, NULL), 0);
    assert_true(is_well_formed(out.data));
    assert_non_null(strstr(out.data, "class=\"line k4\" d=\"M46.0 210.0L96.0 160.0\""));
    assert_non_null(strstr(out.data, "class=\"line k4\" d=\"M246.0 10.0\"")); /* the gap begins a new path */
    assert_non_null(strstr(out.data, "class=\"band k4\" d=\"M46.0 210.0L96.0 140.0L96.0 180.0L46.0 210.0Z\""));
    assert_null(strstr(out.data, "nan"));
    strata_buffer_free(&out);
}

static void test_histogram(void **state) {
    (void)state;
    struct strata_plot plot = example();
    struct strata_buffer out = {0};
    const double edges[] = {0, 0.5, 1};
    const size_t right[] = {4, 0}, wrong[] = {1, 10};
    struct strata_plot_layer layers[] = {{"right", right, 4}, {hostile, wrong, 5}};
    struct strata_plot_limit limit = {0.25, hostile};
    strata_plot_histogram(&out, &plot, edges, 2, layers, 2, &limit, 1);
    assert_true(is_well_formed(out.data));
    assert_non_null(strstr(out.data, "class=\"k4\" x=\"46.5\" y=\"130.0\" width=\"99.0\" height=\"80.0\""));
    assert_non_null(strstr(out.data, "class=\"k5\" x=\"46.5\" y=\"110.0\" width=\"99.0\" height=\"20.0\""));
    assert_non_null(strstr(out.data, "class=\"k5\" x=\"146.5\" y=\"10.0\" width=\"99.0\" height=\"200.0\""));
    assert_non_null(strstr(out.data, "class=\"limit\" d=\"M96.0 "));
    strata_buffer_free(&out);
}

static void test_bars_and_heat(void **state) {
    (void)state;
    struct strata_plot plot = example();
    struct strata_buffer out = {0};
    const char *const rows[] = {hostile, "an ability with a long name"}, *const parts[] = {"a", hostile};
    const unsigned colours[] = {0, 3};
    const size_t counts[] = {3, 1, 0, 0};
    strata_plot_stacked(&out, &plot, rows, 2, parts, colours, 2, counts);
    assert_true(is_well_formed(out.data));
    /* 260 less 100 for names and 48 for sums: 112, three quarters of it (less a pixel between parts). */
    assert_non_null(strstr(out.data, "class=\"k0\" x=\"100.0\" y=\"30.0\" width=\"83.0\""));
    assert_non_null(strstr(out.data, "class=\"k3\" x=\"184.0\" y=\"30.0\" width=\"27.0\""));
    assert_non_null(strstr(out.data, ">75%</text>"));
    assert_non_null(strstr(out.data, ">an ability w\xE2\x80\xA6</text>"));
    strata_buffer_clear(&out);
    strata_plot_heat(&out, &plot, rows, 2, parts, 2, counts);
    assert_true(is_well_formed(out.data));
    assert_non_null(strstr(out.data, "fill-opacity=\"0.900\""));
    assert_non_null(strstr(out.data, "fill-opacity=\"0.340\""));
    strata_buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_checker_can_fail),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_json_cannot_leave_its_element),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_bars_and_heat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
