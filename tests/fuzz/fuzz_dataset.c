/* Any bytes as a JSONL data set: every record is read or refused, nothing else. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int handle = memfd_create("dataset", 0);
    if (handle < 0 || write(handle, data, size) != (ssize_t)size) return 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    for (int prepend = 0; prepend < 2; prepend++) {
        struct strata_dataset_options options = {.skip_bad = true, .prepend_missing_image = prepend, .system = "s"};
        struct strata_dataset *dataset;
        struct strata_sample sample;
        bool got = true;
        if (strata_dataset_open(&dataset, path, &options, NULL)) continue;
        while (strata_dataset_next(dataset, &sample, &got, NULL) == 0 && got) strata_sample_free(&sample);
        strata_dataset_close(dataset);
    }
    close(handle);
    return 0;
}
