#include "verify/compat_extract.h"

#include "verify/compat_plain.h"

/* One environment at `at`. */
struct environment {
    size_t begin, end; /* the content */
    size_t stop;       /* behind the closing delimiter, blanks and percent word */
    bool percent;
};

struct search {
    struct strata_plain_run plain_run;
    struct strata_points text;
    size_t dead[3]; /* by kind of delimiter: no closing one stands between `dead` and the end (or `line_end`) */
    size_t line_end[3];
    size_t last_brace; /* behind the last closing brace of the text; 0: there is none */
};

static bool at(const struct search *s, size_t i, const char *ascii) {
    return strata_points_at(s->text, i, ascii);
}
static int32_t point(const struct search *s, size_t i) {
    return i < s->text.length ? s->text.data[i] : -1;
}
static bool backslash_before(const struct search *s, size_t i) {
    return i && s->text.data[i - 1] == '\\';
}

/* The closing delimiter of an environment whose content begins at `begin`: its place, or STRATA_NOT_FOUND. */
static size_t find_close(struct search *s, size_t begin, const char *close, bool one_line, int memo) {
    size_t length = strlen(close);
    if (memo >= 0 && begin >= s->dead[memo] && begin < s->line_end[memo]) return STRATA_NOT_FOUND;
    for (size_t i = begin; i < s->text.length; i++) {
        int32_t c = s->text.data[i];
        if (one_line && c == '\n') {
            if (memo >= 0) s->dead[memo] = begin, s->line_end[memo] = i;
            return STRATA_NOT_FOUND;
        }
        if (!at(s, i, close)) {
            if (length == 1 && c == '\\' && point(s, i + 1) == '$') i++; /* \$ is content */
            continue;
        }
        if (backslash_before(s, i)) {
            if (length == 1) continue;
            return STRATA_NOT_FOUND; /* the content cannot hold it, nor may it close here */
        }
        return i > begin ? i : STRATA_NOT_FOUND;
    }
    if (memo >= 0) s->dead[memo] = begin, s->line_end[memo] = s->text.length + 1;
    return STRATA_NOT_FOUND;
}

/* [...] between blanks, on one line, without brackets inside. */
static bool bracketed(struct environment *out, const struct search *s, size_t i) {
    if (!strata_utf8_space(point(s, i)) || point(s, i + 1) != '[') return false;
    size_t end = i + 2;
    while (end < s->text.length && s->text.data[end] != '\n' && s->text.data[end] != '[' && s->text.data[end] != ']')
        end++;
    if (end == i + 2 || point(s, end) != ']' || end + 1 >= s->text.length || !strata_utf8_space(point(s, end + 1)))
        return false;
    *out = (struct environment){i + 2, end, end + 2, false};
    return true;
}

static size_t simple_number(const struct search *s, size_t i) {
    if (point(s, i) == '-') i++;
    size_t digits = i;
    while (i < s->text.length && strata_point_digit(s->text.data[i])) i++;
    if (i == digits) return STRATA_NOT_FOUND;
    if ((point(s, i) == '.' || point(s, i) == ',') && i + 1 < s->text.length &&
        strata_point_digit(s->text.data[i + 1])) {
        for (i++; i < s->text.length && strata_point_digit(s->text.data[i]); i++) {
        }
    }
    return i;
}

/* A bare \frac{1}{2}. */
static bool bare_fraction(struct environment *out, const struct search *s, size_t i) {
    size_t k = point(s, i) == '-' ? i + 1 : i;
    if (!at(s, k, "\\frac{") || (k = simple_number(s, k + 6)) == STRATA_NOT_FOUND || !at(s, k, "}{")) return false;
    if ((k = simple_number(s, k + 2)) == STRATA_NOT_FOUND || point(s, k) != '}') return false;
    *out = (struct environment){i, k + 1, k + 1, false};
    return true;
}

static size_t skip_blanks(const struct search *s, size_t i) {
    while (i < s->text.length && strata_utf8_space(s->text.data[i])) i++;
    return i;
}

/* Blanks, and a percent word behind them. */
static void close_environment(struct environment *out, const struct search *s) {
    static const char *const words[] = {"\\%", "%", "Percent", "percent", "Pct", "pct"};
    out->stop = skip_blanks(s, out->stop);
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if (!at(s, out->stop, words[k])) continue;
        out->stop += strlen(words[k]);
        out->percent = true;
        return;
    }
}

/* Does the content hold \boxed{x}? */
static bool holds_box(const struct search *s, size_t begin, size_t end) {
    for (size_t i = begin; i + 8 < end; i++) {
        if (s->text.data[i] != '\\' || !at(s, i, "\\boxed{")) continue;
        for (size_t k = i + 8; k < end; k++) {
            if (s->text.data[k] == '}') return true;
        }
        return false;
    }
    return false;
}

static bool match_environment(struct environment *out, struct search *s, size_t i, bool boxed) {
    size_t close;
    bool found = false;
    int32_t c = point(s, i), before = i ? s->text.data[i - 1] : -1;
    if (c == '$' && before != '\\') {
        if (point(s, i + 1) == '$') {
            close = find_close(s, i + 2, "$$", false, 0);
            found = close != STRATA_NOT_FOUND;
            if (found) *out = (struct environment){i + 2, close, close + 2, false};
        }
        if (!found && !(before >= 0 && strata_point_digit(before)) && point(s, i + 1) != '$') {
            close = find_close(s, i + 1, "$", true, -1);
            found = close != STRATA_NOT_FOUND;
            if (found) *out = (struct environment){i + 1, close, close + 1, false};
        }
    } else if (c == '\\' && before != '\\' && (point(s, i + 1) == '[' || point(s, i + 1) == '(')) {
        bool display = point(s, i + 1) == '[';
        close = find_close(s, i + 2, display ? "\\]" : "\\)", !display, display ? 1 : 2);
        found = close != STRATA_NOT_FOUND;
        if (found) *out = (struct environment){i + 2, close, close + 2, false};
    }
    if (!found) found = bracketed(out, s, i) || (!boxed && bare_fraction(out, s, i));
    if (!found || (boxed && !holds_box(s, out->begin, out->end))) return false;
    close_environment(out, s);
    return true;
}

/* Blanks, "and", "or" or a comma, blanks: behind it the next environment may stand. */
static size_t skip_joint(const struct search *s, size_t i) {
    i = skip_blanks(s, i);
    if (at(s, i, ",and") || at(s, i, "and"))
        i += point(s, i) == ',' ? 4 : 3;
    else if (at(s, i, ",or") || at(s, i, "or"))
        i += point(s, i) == ',' ? 3 : 2;
    else if (point(s, i) == ',')
        i++;
    else
        return STRATA_NOT_FOUND;
    return skip_blanks(s, i);
}

/* Up to six environments with joints between them, from i on. */
static bool match_latex(struct strata_match *out, struct search *s, size_t i, bool boxed) {
    struct environment environment;
    if (!match_environment(&environment, s, i, boxed)) return false;
    out->begin = i;
    out->kind = STRATA_MATCH_LATEX;
    out->segment_count = 0;
    for (;;) {
        out->segments[out->segment_count].begin = environment.begin;
        out->segments[out->segment_count].end = environment.end;
        out->segments[out->segment_count].percent = environment.percent;
        out->segments[out->segment_count++].bare_box = false;
        out->end = environment.stop;
        size_t next = skip_joint(s, environment.stop);
        if (out->segment_count == STRATA_MAX_SEGMENTS || next == STRATA_NOT_FOUND) break;
        /* the joint's blanks may belong to a bracketed environment that wants one in front */
        bool found = match_environment(&environment, s, next, boxed);
        if (!found && next && strata_utf8_space(point(s, next - 1)))
            found = match_environment(&environment, s, next - 1, boxed);
        if (!found) break;
    }
    if (boxed) out->end = skip_blanks(s, out->end);
    return true;
}

/* What stands in front of the thing itself. */
struct anchor {
    size_t from, to; /* the gap may be from..to characters long */
    size_t start;    /* where it begins */
    bool lazy;       /* the shortest gap first */
    bool one_line;   /* . is no line end */
};

static bool hope_follows(const struct search *s, size_t i) {
    if (point(s, i) == '.') i++;
    if (at(s, i, "I hope")) return true;
    return i < s->text.length && strata_utf8_space(point(s, i)) && at(s, i + 1, "I hope");
}
static bool no_equals(struct strata_points text, size_t i) {
    while (i < text.length && strata_utf8_space(text.data[i])) i++;
    return i >= text.length || text.data[i] != '=';
}
static bool hope(struct strata_points text, size_t i) {
    struct search s = {.text = text};
    return hope_follows(&s, i);
}

/* "final answer is[:]" at i: where it ends; STRATA_NOT_FOUND elsewhere. */
static size_t final_answer_is(const struct search *s, size_t i) {
    if (!strata_points_at_nocase(s->text, i, "final answer is")) return STRATA_NOT_FOUND;
    return i + 15 + (point(s, i + 15) == ':');
}

typedef bool matcher(struct strata_match *out, struct search *s, size_t i);

static bool latex_plain(struct strata_match *out, struct search *s, size_t i) {
    return match_latex(out, s, i, false);
}
static bool latex_box(struct strata_match *out, struct search *s, size_t i) {
    return match_latex(out, s, i, true);
}
static bool plain_before_no_equals(struct strata_match *out, struct search *s, size_t i) {
    return strata_plain_match(out, s->text, i, no_equals);
}
static bool plain_expression(struct strata_match *out, struct search *s, size_t i) {
    return strata_plain_expression(out, s->text, i, NULL, &s->plain_run);
}
static bool plain_number(struct strata_match *out, struct search *s, size_t i) {
    return strata_plain_number(out, s->text, i, NULL);
}

static bool final_with_hope(struct strata_match *out, struct search *s, size_t i, bool latex) {
    size_t behind = final_answer_is(s, i);
    if (behind == STRATA_NOT_FOUND) return false;
    size_t last = skip_blanks(s, behind);
    for (size_t k = last + 1; k-- > behind;) { /* \s* gives back blanks that what follows needs */
        bool found = latex ? match_latex(out, s, k, false) && hope_follows(s, out->end)
                           : strata_plain_match(out, s->text, k, hope);
        if (found) return true;
    }
    return false;
}
static bool final_latex_hope(struct strata_match *out, struct search *s, size_t i) {
    return final_with_hope(out, s, i, true);
}
static bool final_plain_hope(struct strata_match *out, struct search *s, size_t i) {
    return final_with_hope(out, s, i, false);
}

/* "final answer", up to 100 characters, blanks, "is[:]", and the answer. */
static bool final_is(struct strata_match *out, struct search *s, size_t i, bool latex) {
    if (!strata_points_at_nocase(s->text, i, "final answer")) return false;
    size_t start = i + 12;
    for (size_t gap = 0; gap <= 100 && start + gap < s->text.length; gap++) {
        if (!latex && gap && s->text.data[start + gap - 1] == '\n') break;
        size_t k = skip_blanks(s, start + gap);
        if (k == start + gap || !at(s, k, "is")) continue;
        k += 2;
        if (point(s, k) == ':') k++;
        if (!latex) {
            if (strata_plain_match(out, s->text, k, NULL)) return true;
            continue;
        }
        size_t last = skip_blanks(s, k);
        for (size_t m = last + 1; m-- > k;) {
            if (match_latex(out, s, m, false)) return true;
        }
    }
    return false;
}
static bool final_latex(struct strata_match *out, struct search *s, size_t i) {
    return final_is(out, s, i, true);
}
static bool final_plain(struct strata_match *out, struct search *s, size_t i) {
    return final_is(out, s, i, false);
}

/* A gap of up to `longest` characters, then the thing; the shortest gap first. */
static bool behind_gap(struct strata_match *out, struct search *s, size_t start, size_t longest, bool one_line,
                       matcher *match) {
    for (size_t gap = 0; gap <= longest && start + gap <= s->text.length; gap++) {
        if (one_line && gap && s->text.data[start + gap - 1] == '\n') return false;
        if (match(out, s, start + gap)) return true;
    }
    return false;
}

/* Up to 100 characters, the last "=" first, blanks, and the answer. */
static bool behind_equals(struct strata_match *out, struct search *s, size_t start) {
    size_t longest = 0;
    while (longest < 100 && start + longest < s->text.length && s->text.data[start + longest] != '\n') longest++;
    for (size_t gap = longest + 1; gap-- > 0;) {
        if (point(s, start + gap) != '=') continue;
        size_t behind = start + gap + 1, last = skip_blanks(s, behind);
        for (size_t k = last + 1; k-- > behind;) {
            if (plain_before_no_equals(out, s, k)) return true;
        }
    }
    return false;
}

static bool answer(struct strata_match *out, struct search *s, size_t i, bool colon, bool latex) {
    if (!strata_points_at_nocase(s->text, i, "answer") || (colon && point(s, i + 6) != ':')) return false;
    size_t start = i + 6 + colon;
    if (latex) return behind_gap(out, s, start, 50, false, latex_plain);
    return behind_equals(out, s, start) || behind_gap(out, s, start, 50, true, plain_before_no_equals);
}
static bool answer_colon_latex(struct strata_match *out, struct search *s, size_t i) {
    return answer(out, s, i, true, true);
}
static bool answer_colon_plain(struct strata_match *out, struct search *s, size_t i) {
    return answer(out, s, i, true, false);
}
static bool answer_latex(struct strata_match *out, struct search *s, size_t i) {
    return answer(out, s, i, false, true);
}
static bool answer_plain(struct strata_match *out, struct search *s, size_t i) {
    return answer(out, s, i, false, false);
}

/* \boxed{ up to the last brace of the text. */
static bool bare_box(struct strata_match *out, struct search *s, size_t i) {
    if (!at(s, i, "\\boxed{")) return false;
    size_t last = s->last_brace;
    if (last <= i + 8) return false;
    *out = (struct strata_match){.begin = i, .end = last, .kind = STRATA_MATCH_LATEX, .segment_count = 1};
    out->segments[0].begin = i;
    out->segments[0].end = last;
    out->segments[0].bare_box = true;
    return true;
}

/* Letters with which a match of the pattern can begin: a quick look before the pattern is tried. */
static bool may_begin(matcher *match, int32_t c) {
    if (match == bare_box) return c == '\\';
    if (match == final_latex_hope || match == final_plain_hope || match == final_latex || match == final_plain) {
        return c == 'f' || c == 'F';
    }
    if (match == answer_colon_latex || match == answer_colon_plain || match == answer_latex || match == answer_plain) {
        return c == 'a' || c == 'A';
    }
    if (match == latex_plain || match == latex_box) return c == '$' || c == '\\' || c == '-' || strata_utf8_space(c);
    return true;
}

/* Non-overlapping matches from the left, as finditer yields them; the last of them are kept in a ring. */
static size_t find_all(struct strata_match ring[STRATA_MAX_MATCHES], struct search *s, matcher *match) {
    size_t count = 0;
    for (size_t i = 0; i < s->text.length;) {
        struct strata_match *out = &ring[count % STRATA_MAX_MATCHES], found = {0};
        if (may_begin(match, s->text.data[i]) && match(&found, s, i)) {
            *out = found;
            out->begin = i;
            count++;
            i = out->end > i ? out->end : i + 1;
        } else {
            i++;
        }
    }
    return count;
}

/* Ending later first, then beginning earlier, then as found. */
static bool is_before(const struct strata_match_list *list, size_t i, size_t k) {
    const struct strata_match *a = &list->found[i], *b = &list->found[k];
    if (a->end != b->end) return a->end > b->end;
    return a->begin != b->begin ? a->begin < b->begin : i < k;
}

void strata_matches(struct strata_match_list *list, struct strata_points text, int priority) {
    static matcher *const patterns[STRATA_MATCH_PRIORITIES][STRATA_MATCH_PATTERNS] = {
        {final_latex_hope, final_plain_hope},          {final_latex, latex_box, bare_box, final_plain},
        {answer_colon_latex, answer_colon_plain},      {answer_latex, answer_plain},
        {latex_plain, plain_expression, plain_number},
    };
    list->count = 0;
    if (priority == 0 && strata_points_find(text, "I hope", 0) == STRATA_NOT_FOUND) return;
    size_t last_brace = text.length;
    while (last_brace && text.data[last_brace - 1] != '}') last_brace--;
    for (int k = 0; k < STRATA_MATCH_PATTERNS && patterns[priority][k]; k++) {
        struct search s = {.text = text, .last_brace = last_brace};
        /* a full ring keeps its place: the order goes by end and begin */
        for (int m = 0; m < 3; m++) s.dead[m] = STRATA_NOT_FOUND;
        size_t matches = find_all(list->found + list->count, &s, patterns[priority][k]);
        list->count += matches < STRATA_MAX_MATCHES ? matches : STRATA_MAX_MATCHES;
    }
    for (size_t i = 0; i < list->count; i++) { /* few, and nearly in order within a pattern */
        size_t k = i;
        for (; k > 0 && is_before(list, i, list->order[k - 1]); k--) list->order[k] = list->order[k - 1];
        list->order[k] = i;
    }
}
