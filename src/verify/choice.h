/* Choice letters and yes/no. */
#ifndef STRATA_VERIFY_CHOICE_H
#define STRATA_VERIFY_CHOICE_H

#include <stdint.h>

#include "verify/span.h"

/* A gold answer that is nothing but a choice: "B", "(B)", "B.", "Option B", or several ("A, C"). Bit k of *letters is
 * set for letter 'A'+k. */
bool strata_choice_gold(uint32_t *letters, struct strata_span text);
/* The letters that an answer chooses: alone, or in front of the option's content ("B. red", "(B) 12", "C) 14 cm").
 * With prose, also those named by "the answer is B". 0: none. */
uint32_t strata_choice_find(struct strata_span text, bool prose);
/* 1 yes/true, 0 no/false, -1 neither. `loose` also reads "Yes, it is." */
int strata_yes_no(struct strata_span text, bool loose);
/* How many choices the question lists: options A, B, C... in a row, each at the start of a line or in parentheses;
 * 0 when it lists none. */
int strata_choice_count(struct strata_span question);

#endif
