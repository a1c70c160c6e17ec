/* difflib.SequenceMatcher: Ratcliff-Obershelp matching blocks with Python's "autojunk" rule. */
#include <stdlib.h>

#include "verify/compat.h"

#define STEPS 40000000 /* beyond: not similar. The longest texts of a data set need far fewer */

struct matcher {
    struct strata_points a, b;
    size_t *order, *begin; /* positions of b by letter, and where a letter's run begins */
    int32_t *letters;
    size_t letter_count;
    uint32_t *length_before, *length_now; /* b2j lengths of the row before, of this row */
    size_t steps;
};

struct place {
    int32_t letter;
    uint32_t at;
};
static int by_letter(const void *left, const void *right) {
    const struct place *a = left, *b = right;
    if (a->letter != b->letter) return a->letter < b->letter ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* b2j: the places of each letter of b; from 200 letters on those of letters that make up more than 1 % are forgotten.
 */
static bool index_letters(struct matcher *m, struct strata_arena *arena) {
    size_t n = m->b.length, kept = 0;
    struct place *places = strata_arena_take(arena, (n + 1) * sizeof *places);
    m->order = strata_arena_take(arena, (n + 1) * sizeof *m->order);
    m->begin = strata_arena_take(arena, (n + 2) * sizeof *m->begin);
    m->letters = strata_arena_take(arena, (n + 1) * sizeof *m->letters);
    m->length_before = strata_arena_take(arena, (n + 2) * sizeof *m->length_before);
    m->length_now = strata_arena_take(arena, (n + 2) * sizeof *m->length_now);
    if (arena->failed) return false;
    for (size_t i = 0; i < n; i++) places[i] = (struct place){m->b.data[i], (uint32_t)i};
    qsort(places, n, sizeof *places, by_letter);
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && places[end].letter == places[i].letter) end++;
        if (n < 200 || end - i <= n / 100 + 1) {
            m->letters[m->letter_count] = places[i].letter;
            m->begin[m->letter_count++] = kept;
            for (size_t k = i; k < end; k++) m->order[kept++] = places[k].at;
        }
        i = end;
    }
    m->begin[m->letter_count] = kept;
    return true;
}

static size_t find_letter(const struct matcher *m, int32_t letter) {
    size_t low = 0, high = m->letter_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->letters[middle] < letter)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->letter_count && m->letters[low] == letter ? low : STRATA_NOT_FOUND;
}

struct block {
    size_t a, b, size;
};

/* The longest block in a[alo..ahi) and b[blo..bhi), the earliest in a, then in b; extended over forgotten letters. */
static struct block longest(struct matcher *m, size_t alo, size_t ahi, size_t blo, size_t bhi) {
    struct block best = {alo, blo, 0};
    /* length_before[j + 1] is the length of the match that ends at b[j] in the row before */
    memset(m->length_before + blo, 0, (bhi - blo + 1) * sizeof *m->length_before);
    for (size_t i = alo; i < ahi; i++) {
        memset(m->length_now + blo, 0, (bhi - blo + 1) * sizeof *m->length_now);
        m->steps += 1 + (bhi - blo) / 16;
        size_t letter = find_letter(m, m->a.data[i]);
        if (letter != STRATA_NOT_FOUND) {
            for (size_t k = m->begin[letter]; k < m->begin[letter + 1]; k++) {
                size_t j = m->order[k];
                m->steps++;
                if (j < blo) continue;
                if (j >= bhi) break;
                uint32_t size = m->length_before[j] + 1;
                if (j == blo) size = 1;
                m->length_now[j + 1] = size;
                if (size > best.size) best = (struct block){i + 1 - size, j + 1 - size, size};
            }
        }
        uint32_t *swap = m->length_before;
        m->length_before = m->length_now;
        m->length_now = swap;
        if (m->steps > STEPS) return best;
    }
    while (best.a > alo && best.b > blo && m->a.data[best.a - 1] == m->b.data[best.b - 1]) {
        best.a--;
        best.b--;
        best.size++;
    }
    while (best.a + best.size < ahi && best.b + best.size < bhi &&
           m->a.data[best.a + best.size] == m->b.data[best.b + best.size]) {
        best.size++;
    }
    return best;
}

bool strata_sequence_half_equal(struct strata_arena *arena, struct strata_points a, struct strata_points b) {
    struct matcher m = {.a = a, .b = b};
    size_t matched = 0, waiting = 0;
    struct range {
        size_t alo, ahi, blo, bhi;
    } *queue = strata_arena_take(arena, (a.length + b.length + 2) * sizeof *queue);
    if (!queue || !index_letters(&m, arena)) return false;
    queue[waiting++] = (struct range){0, a.length, 0, b.length};
    while (waiting && m.steps <= STEPS) {
        struct range r = queue[--waiting];
        struct block block = longest(&m, r.alo, r.ahi, r.blo, r.bhi);
        if (!block.size) continue;
        matched += block.size;
        if (r.alo < block.a && r.blo < block.b) queue[waiting++] = (struct range){r.alo, block.a, r.blo, block.b};
        if (block.a + block.size < r.ahi && block.b + block.size < r.bhi) {
            queue[waiting++] = (struct range){block.a + block.size, r.ahi, block.b + block.size, r.bhi};
        }
    }
    if (m.steps > STEPS) return false;
    return a.length + b.length == 0 || 4 * matched >= a.length + b.length;
}
