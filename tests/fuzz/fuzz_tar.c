/* Any bytes as a tar: it is listed and its members are read, or it is refused, nothing else. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct strata_tar tar;
    char path[64];
    int handle = memfd_create("tar", 0);
    if (handle < 0 || write(handle, data, size) != (ssize_t)size) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    if (strata_tar_open(&tar, path, NULL) == 0) {
        for (size_t i = 0; i < tar.capacity; i++)
            if (tar.slots[i].at > size || tar.slots[i].size > size - tar.slots[i].at) __builtin_trap();
        (void)strata_tar_find(&tar, "x/a.png");
        strata_tar_close(&tar);
    }
    close(handle);
    return 0;
}
