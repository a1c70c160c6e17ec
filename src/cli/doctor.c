/* strata doctor: what this machine and this build can do, and what will be slow and why. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <gmp.h>
#include <jansson.h>
#include <mpfr.h>
#include <pcre2.h>
#include <png.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utf8proc.h>
#include <webp/decode.h>
#include <xxhash.h>
/* jpeglib.h wants stdio.h and size_t before it. */
#include <jpeglib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "kernels/kernels.h"
#include "strata/version.h"

#define ID(name)   STRATA_OPTION_ID_##name
#define STRING(x)  #x
#define TEXT_OF(x) STRING(x)

static const char *const levels[] = {"plain", "avx2", "avx512", "avx512bf16"};
#define LEVELS (sizeof levels / sizeof *levels)

struct facts {
    char cpu[128], system[256];
    size_t cores, threads, memory, available;
    const char *level;
    char *warnings[8];
    size_t warning_count;
};

static void warn(struct facts *facts, const char *format, ...) STRATA_PRINTF(2, 3);
static void warn(struct facts *facts, const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (facts->warning_count < 8 && vasprintf(&facts->warnings[facts->warning_count], format, list) >= 0)
        facts->warning_count++;
    va_end(list);
}

/* The value of the first "model name" line of /proc/cpuinfo. */
static void cpu_name(char *out, size_t size) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", strlen("model name")) != 0) continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, size, "%s", colon + 2);
        break;
    }
    if (file) fclose(file);
}

/* Does the CPU itself have what a level needs, whatever this build has? */
static bool cpu_has(const char *level) {
#if defined(__x86_64__) || defined(__i386__)
    if (strcmp(level, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(level, "avx512") == 0) return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (strcmp(level, "avx512bf16") == 0) return __builtin_cpu_supports("avx512bf16");
#endif
    return strcmp(level, "plain") == 0;
}

static int gather(struct facts *facts, const struct strata_arguments *arguments, struct strata_error *err) {
    struct utsname name;
    const struct strata_level *level;
    int status = strata_level_choose(&level, strata_text(arguments, ID(ISA)), err);
    if (status) return status;
    facts->level = strata_level_name(level);
    cpu_name(facts->cpu, sizeof facts->cpu);
    if (uname(&name) == 0)
        snprintf(facts->system, sizeof facts->system, "%s %s %s", name.sysname, name.release, name.machine);
    long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    facts->cores = cores > 0 ? (size_t)cores : 0;
    facts->memory = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
    facts->available = strata_available_memory();
    facts->threads = strata_size(arguments, ID(THREADS));
    if (!facts->threads) facts->threads = strata_cpu_count();

    if (strcmp(facts->level, "plain") == 0)
        warn(facts, "the plain kernels are in use%s: expect a tenth of the speed of AVX2 or less",
             strata_level_available("avx2") ? " because --isa asks for them"
             : cpu_has("avx2")              ? " because this build has no others"
                                            : " because this CPU has no AVX2");
    else if (strcmp(facts->level, "avx2") == 0)
        warn(facts, "no AVX-512: about half the speed per core of a CPU that has it");
    if (strcmp(facts->level, "avx512bf16") != 0)
        warn(facts, "no bf16 instructions in use: --compute auto means f32, which doubles the memory of bf16 weights");
    if (facts->threads < facts->cores)
        warn(facts, "%zu of %zu cores are used (affinity, a container's quota, or --threads)", facts->threads,
             facts->cores);
    if (facts->available && facts->available < (size_t)4 << 30)
        warn(facts, "less than 4 GiB of memory is free: small models only, and few answers in flight");
    return 0;
}

struct library {
    const char *name;
    char version[48];
};
/* The versions that are linked, not those of the headers, wherever the library tells. */
static size_t libraries(struct library out[static 12]) {
    size_t count = 0;
    out[count].name = "jansson";
    snprintf(out[count++].version, 48, "%s", jansson_version_str());
    out[count].name = "xxHash";
    unsigned xxhash = XXH_versionNumber();
    snprintf(out[count++].version, 48, "%u.%u.%u", xxhash / 10000, xxhash / 100 % 100, xxhash % 100);
    out[count].name = "PCRE2";
    char pcre[64] = "";
    uint32_t jit = 0;
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof pcre) pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    pcre2_config(PCRE2_CONFIG_JIT, &jit);
    snprintf(out[count++].version, 48, "%.20s%s", pcre, jit ? ", JIT" : ", no JIT");
    out[count].name = "utf8proc";
    snprintf(out[count++].version, 48, "%s, Unicode %s", utf8proc_version(), utf8proc_unicode_version());
    out[count].name = "libpng";
    snprintf(out[count++].version, 48, "%s", png_get_libpng_ver(NULL));
    out[count].name = "libjpeg-turbo";
#ifdef LIBJPEG_TURBO_VERSION
    snprintf(out[count++].version, 48, "%s", TEXT_OF(LIBJPEG_TURBO_VERSION));
#else
    snprintf(out[count++].version, 48, "API %d (not turbo: slower)", JPEG_LIB_VERSION);
#endif
    out[count].name = "libwebp";
    int webp = WebPGetDecoderVersion();
    snprintf(out[count++].version, 48, "%d.%d.%d", webp >> 16, webp >> 8 & 255, webp & 255);
    out[count].name = "SQLite";
    snprintf(out[count++].version, 48, "%s", sqlite3_libversion());
    out[count].name = "GMP";
    snprintf(out[count++].version, 48, "%s", gmp_version);
    out[count].name = "MPFR";
    snprintf(out[count++].version, 48, "%s", mpfr_get_version());
    return count;
}

static const char *compiler(void) {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown compiler";
#endif
}

static void print_facts(const struct facts *facts) {
    char total[32], available[32];
    struct library list[12];
    size_t count = libraries(list);
    printf("strata     %s, %s\n", STRATA_VERSION, compiler());
    printf("system     %s\n", facts->system);
    printf("CPU        %s\n", facts->cpu);
    printf("threads    %zu of %zu cores\n", facts->threads, facts->cores);
    printf("memory     %s free of %s\n", strata_bytes_text(available, (double)facts->available),
           strata_bytes_text(total, (double)facts->memory));
    printf("kernels    ");
    for (size_t i = 0; i < LEVELS; i++) {
        const char *note = strcmp(levels[i], facts->level) == 0 ? " (in use)"
                           : strata_level_available(levels[i])  ? ""
                           : cpu_has(levels[i])                 ? " (not in this build)"
                                                                : " (not on this CPU)";
        printf("%s%s%s", i ? ", " : "", levels[i], note);
    }
    printf("\nlibraries  ");
    for (size_t i = 0; i < count; i++)
        printf("%s%s %s", i == 0 ? "" : i % 4 ? "; " : ";\n           ", list[i].name, list[i].version);
    putchar('\n');
    if (!facts->warning_count) puts("\nnothing here will be slow");
    for (size_t i = 0; i < facts->warning_count; i++)
        printf("%s  * %s\n", i ? "" : "\nwill be slow, and why\n", facts->warnings[i]);
}

static int print_facts_json(const struct facts *facts, struct strata_error *err) {
    struct library list[12];
    size_t count = libraries(list);
    json_t *available = json_array(), *versions = json_object(), *warnings = json_array();
    for (size_t i = 0; i < LEVELS; i++)
        if (strata_level_available(levels[i])) json_array_append_new(available, json_string(levels[i]));
    for (size_t i = 0; i < count; i++) json_object_set_new(versions, list[i].name, json_string(list[i].version));
    for (size_t i = 0; i < facts->warning_count; i++) json_array_append_new(warnings, json_string(facts->warnings[i]));
    return strata_print_json(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:o}", "version",
                                       STRATA_VERSION, "compiler", compiler(), "system", facts->system, "cpu",
                                       facts->cpu, "cores", (json_int_t)facts->cores, "threads",
                                       (json_int_t)facts->threads, "memory", (json_int_t)facts->memory, "memory_free",
                                       (json_int_t)facts->available, "kernels", facts->level, "kernels_available",
                                       available, "libraries", versions, "warnings", warnings),
                             err);
}

int strata_cli_doctor(const struct strata_arguments *arguments, struct strata_error *err) {
    struct facts facts = {0};
    int status = gather(&facts, arguments, err);
    if (!status && strata_flag(arguments, ID(JSON))) {
        status = print_facts_json(&facts, err);
    } else if (!status) {
        print_facts(&facts);
    }
    for (size_t i = 0; i < facts.warning_count; i++) free(facts.warnings[i]);
    return status;
}
