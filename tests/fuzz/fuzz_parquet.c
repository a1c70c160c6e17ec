/* Any bytes as a Parquet file: every row is read or refused, nothing else. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/parquet.h"

#define ROWS 2000 /* a few bytes may stand for any number of nulls */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct strata_parquet_reader *reader;
    char path[64];
    int handle = memfd_create("parquet", 0);
    if (handle < 0 || write(handle, data, size) != (ssize_t)size) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    int code = strata_parquet_reader_open(&reader, path, NULL);
    bool got = true;
    for (size_t row = 0; !code && got && row < ROWS; row++) {
        json_t *record;
        code = strata_parquet_reader_next(reader, row % 3 != 2, &record, &got, NULL);
        json_decref(record);
        if (code == STRATA_ERR_INPUT) code = 0;
    }
    strata_parquet_reader_close(reader);
    close(handle);
    return 0;
}
