/* Private to selection: writing the chosen records and the manifest. */
#ifndef STRATA_STUDY_SELECT_WRITE_H
#define STRATA_STUDY_SELECT_WRITE_H

#include "store/store.h"
#include "study/select.h"

struct strata_selection {
    const struct strata_select_options *options;
    const struct strata_cut *cut;
    unsigned metrics; /* of the run */
    struct strata_store *store;
    struct strata_select_summary *summary;
    const uint64_t *places; /* (count) in the data set, ascending */
    size_t count;
};
int strata_selection_write(const struct strata_selection *selection, struct strata_error *err);

#endif
