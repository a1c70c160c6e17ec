#include "difficulty/agreement.h"

#include <math.h>

#include "difficulty/strata.h"

double strata_spearman(const size_t *counts, size_t n) {
    double row_rank[STRATA_STRATA], column_rank[STRATA_STRATA], total = 0, row_below = 0, column_below = 0;
    for (size_t i = 0; i < n * n; i++) total += (double)counts[i];
    for (size_t i = 0; i < n; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < n; j++) {
            row += (double)counts[i * n + j];
            column += (double)counts[j * n + i];
        }
        /* Midrank, less the mean rank (total + 1) / 2. */
        row_rank[i] = row_below + row / 2 - total / 2;
        column_rank[i] = column_below + column / 2 - total / 2;
        row_below += row;
        column_below += column;
    }
    double product = 0, row_square = 0, column_square = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double count = (double)counts[i * n + j];
            product += count * row_rank[i] * column_rank[j];
            row_square += count * row_rank[i] * row_rank[i];
            column_square += count * column_rank[j] * column_rank[j];
        }
    if (row_square == 0 || column_square == 0) return (double)NAN;
    return product / sqrt(row_square * column_square);
}

double strata_kendall(const size_t *counts, size_t n) {
    double total = 0, concordant = 0, discordant = 0, row_ties = 0, column_ties = 0;
    for (size_t i = 0; i < n; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < n; j++) {
            double below = 0, above = 0; /* of the fields in later rows, to the right and to the left */
            for (size_t k = i + 1; k < n; k++)
                for (size_t l = 0; l < n; l++) {
                    below += l > j ? (double)counts[k * n + l] : 0;
                    above += l < j ? (double)counts[k * n + l] : 0;
                }
            concordant += (double)counts[i * n + j] * below;
            discordant += (double)counts[i * n + j] * above;
            row += (double)counts[i * n + j];
            column += (double)counts[j * n + i];
        }
        total += row;
        row_ties += row * (row - 1) / 2;
        column_ties += column * (column - 1) / 2;
    }
    double pairs = total * (total - 1) / 2, product = (pairs - row_ties) * (pairs - column_ties);
    return product > 0 ? (concordant - discordant) / sqrt(product) : (double)NAN;
}

double strata_kappa(const size_t *counts, size_t n) {
    double total = 0, equal = 0, expected = 0;
    for (size_t i = 0; i < n; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < n; j++) {
            row += (double)counts[i * n + j];
            column += (double)counts[j * n + i];
        }
        total += row;
        equal += (double)counts[i * n + i];
        expected += row * column;
    }
    if (!(total > 0)) return (double)NAN;
    expected /= total * total;
    return expected < 1 ? (equal / total - expected) / (1 - expected) : (double)NAN;
}
