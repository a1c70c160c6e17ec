/* How fast a data set is read, and in what memory: every record parsed and checked, images not opened.
 * usage: bench_dataset FILE... */
#include <stdio.h>

#include "base/clock.h"
#include "data/sample.h"

int main(int count, char **paths) {
    for (int i = 1; i < count; i++) {
        const struct strata_dataset_options all = {0};
        struct strata_dataset *dataset;
        struct strata_sample sample;
        struct strata_error err = {0};
        size_t records = 0;
        bool got = true;
        double begin = strata_seconds();
        int code = strata_dataset_open(&dataset, paths[i], &all, &err);
        while (!code) {
            code = strata_dataset_next(dataset, &sample, &got, &err);
            if (code || !got) break;
            records++;
            strata_sample_free(&sample);
        }
        strata_dataset_close(dataset);
        if (code) {
            char line[1400];
            fprintf(stderr, "%s\n", strata_error_line(&err, line, sizeof line));
            return 1;
        }
        printf("%s: %zu records in %.2f s, peak %.1f MiB\n", paths[i], records, strata_seconds() - begin,
               (double)strata_peak_memory() / 1048576);
    }
    return 0;
}
