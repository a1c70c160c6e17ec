#include "data/packed_stream.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"

#define CHUNK       65536
#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, with gzip's header */
#define ZSTD_LEVEL  3

struct packer {
    FILE *inner;
    ZSTD_CStream *zstd; /* NULL: gzip */
    z_stream gzip;
    unsigned char bytes[CHUNK];
};

static bool pass_on(struct packer *packer, size_t count) {
    return fwrite(packer->bytes, 1, count, packer->inner) == count;
}

static bool pack_gzip(struct packer *packer, const char *text, size_t length, bool last) {
    z_stream *gzip = &packer->gzip;
    gzip->next_in = (unsigned char *)(uintptr_t)text; /* zlib only reads it */
    gzip->avail_in = (unsigned)length;
    do {
        gzip->next_out = packer->bytes;
        gzip->avail_out = CHUNK;
        if (deflate(gzip, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR) return false;
        if (!pass_on(packer, CHUNK - gzip->avail_out)) return false;
    } while (!gzip->avail_out);
    return true;
}

static bool pack_zstd(struct packer *packer, const char *text, size_t length, bool last) {
    ZSTD_inBuffer in = {.src = text, .size = length};
    size_t left;
    do {
        ZSTD_outBuffer out = {.dst = packer->bytes, .size = CHUNK};
        left = ZSTD_compressStream2(packer->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left) || !pass_on(packer, out.pos)) return false;
    } while (last ? left : in.pos < in.size);
    return true;
}

static bool pack(struct packer *packer, const char *text, size_t length, bool last) {
    return packer->zstd ? pack_zstd(packer, text, length, last) : pack_gzip(packer, text, length, last);
}

/* stdio hands over at most its own buffer, far below zlib's 32 bits. */
static ssize_t write_packed(void *cookie, const char *text, size_t length) {
    return pack(cookie, text, length, false) ? (ssize_t)length : 0;
}

static void free_packer(struct packer *packer) {
    ZSTD_freeCStream(packer->zstd);
    deflateEnd(&packer->gzip); /* does nothing where it was not begun */
    free(packer);
}

static int close_packed(void *cookie) {
    struct packer *packer = cookie;
    bool good = pack(packer, "", 0, true) && !ferror(packer->inner);
    free_packer(packer);
    return good ? 0 : EOF;
}

int strata_packed_stream(FILE **out, FILE *inner, const char *path, struct strata_error *err) {
    bool zstd = strata_path_ends(path, ".zst");
    struct packer *packer;
    *out = NULL;
    if (!zstd && !strata_path_ends(path, ".gz")) return 0;
    int code = strata_alloc(&packer, 1, sizeof *packer, err);
    if (code) return code;
    packer->inner = inner;
    bool ready;
    if (zstd) {
        packer->zstd = ZSTD_createCStream();
        ready =
            packer->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL));
    } else {
        ready =
            deflateInit2(&packer->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    }
    if (ready) *out = fopencookie(packer, "w", (cookie_io_functions_t){.write = write_packed, .close = close_packed});
    if (*out) return 0;
    free_packer(packer);
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}
