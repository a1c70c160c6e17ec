/* conformance_benchmarks FILE [--kit-sources DIR]: runs every case of a benchmarks.jsonl (format: section 12 of the
 * benchmarks' specification) for each state of the kit, prints the failing ones, the counts by function and kit, and at
 * the end "N passed, N failed". */
#include "benchmark_file.h"

int main(int argc, char **argv) {
    struct strata_error err = {0};
    const char *sources = argc == 4 && strcmp(argv[2], "--kit-sources") == 0 ? argv[3] : NULL;
    if (argc != 2 && !sources) {
        fprintf(stderr, "usage: %s FILE [--kit-sources DIR]\n", argv[0]);
        return 2;
    }
    int code = run_benchmark_file(argv[1], sources, &err);
    if (err.code) {
        char line[1400];
        fprintf(stderr, "%s\n", strata_error_line(&err, line, sizeof line));
        return 2;
    }
    return code;
}
