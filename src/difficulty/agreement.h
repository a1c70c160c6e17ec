/* How two ratings of the same samples agree, from a table of counts (n, n) over two ordered scales of at most
 * STRATA_STRATA steps. NaN where a scale does not vary. */
#ifndef STRATA_DIFFICULTY_AGREEMENT_H
#define STRATA_DIFFICULTY_AGREEMENT_H

#include <stddef.h>

double strata_spearman(const size_t *counts, size_t n); /* rank correlation, ties at their mean rank */
double strata_kendall(const size_t *counts, size_t n);  /* tau-b */
double strata_kappa(const size_t *counts, size_t n);    /* Cohen's, unweighted: agreement beyond the margins' */

#endif
