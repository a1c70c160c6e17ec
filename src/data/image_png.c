/* PNG through libpng, converted as Pillow 13's convert("RGB") and transformers' convert_to_rgb do it.
 *
 * libpng reports errors by longjmp. Everything that must survive the jump lives in struct png_job, reached through a
 * pointer that no function changes after its setjmp, so no automatic variable is read after it was modified. */
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/image_codec.h"

struct png_job {
    const struct strata_image_input *input;
    size_t position; /* of the read in input->bytes */
    png_structp png;
    png_infop info;
    char message[160]; /* libpng's words, or ours */
    uint32_t width, height;
    int bit_depth, color_type, interlace;
    size_t row_bytes;
    uint8_t *raw; /* one row, or the whole image where it is interlaced */
    uint8_t palette[256][3];
    bool has_key; /* pixels of the colour `key` are painted white */
    uint8_t key[3];
    unsigned orientation;
};

static void on_error(png_structp png, png_const_charp text) {
    struct png_job *job = png_get_error_ptr(png);
    strncpy(job->message, text, sizeof job->message - 1);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep out, size_t length) {
    struct png_job *job = png_get_io_ptr(png);
    if (length > job->input->length - job->position) png_error(png, "the file is truncated");
    memcpy(out, job->input->bytes + job->position, length);
    job->position += length;
}

static uint8_t clip8(unsigned value) {
    return (uint8_t)(value > 255 ? 255 : value);
}

/* Pillow keeps a single transparent colour as metadata of the RGB image, and the processor paints every pixel of that
 * colour white. What it takes for that colour depends on the mode, oddities included: a 1-bit or 16-bit grey key k
 * becomes the colour (k, 0, 0), grey keys are not scaled to 8 bits, RGB keys keep their low bytes. */
static void find_color_key(struct png_job *job) {
    png_bytep alpha = NULL;
    png_color_16p color = NULL;
    int count = 0;
    if (png_get_tRNS(job->png, job->info, &alpha, &count, &color) == 0) return;
    if (job->color_type == PNG_COLOR_TYPE_PALETTE) {
        /* Only where one entry is transparent and all others are opaque. */
        int transparent = -1;
        for (int i = 0; i < count; i++) {
            if (alpha[i] == 255) continue;
            if (alpha[i] != 0 || transparent >= 0) return;
            transparent = i;
        }
        if (transparent < 0) return;
        memcpy(job->key, job->palette[transparent], 3);
    } else if (job->color_type == PNG_COLOR_TYPE_RGB) {
        job->key[0] = (uint8_t)(color->red & 255);
        job->key[1] = (uint8_t)(color->green & 255);
        job->key[2] = (uint8_t)(color->blue & 255);
    } else if (job->color_type == PNG_COLOR_TYPE_GRAY) {
        if (job->bit_depth == 1)
            job->key[0] = color->gray ? 255 : 0;
        else if (job->bit_depth == 16)
            job->key[0] = (uint8_t)(color->gray & 255);
        else
            memset(job->key, clip8(color->gray), 3);
    } else {
        return;
    }
    job->has_key = true;
}

/* Reads up to the first IDAT. */
static int read_header(struct png_job *job) {
    if (setjmp(png_jmpbuf(job->png))) return STRATA_ERR_INPUT;
    png_set_read_fn(job->png, job, read_bytes);
    png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* the pixel limit is ours */
    png_read_info(job->png, job->info);
    png_get_IHDR(job->png, job->info, &job->width, &job->height, &job->bit_depth, &job->color_type, &job->interlace,
                 NULL, NULL);
    png_colorp entries = NULL;
    int count = 0;
    if (job->color_type == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(job->png, job->info, &entries, &count)) {
        for (int i = 0; i < count; i++) {
            job->palette[i][0] = entries[i].red;
            job->palette[i][1] = entries[i].green;
            job->palette[i][2] = entries[i].blue;
        } /* indices beyond the palette stay black */
    }
    find_color_key(job);
    return 0;
}

/* Only after the size was checked: libpng allocates rows here. */
static int prepare_rows(struct png_job *job) {
    if (setjmp(png_jmpbuf(job->png))) return STRATA_ERR_INPUT;
    png_set_packing(job->png); /* 1, 2 and 4 bits to a byte each, values unchanged */
    png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
    job->row_bytes = png_get_rowbytes(job->png, job->info);
    return 0;
}

static void grey_row(uint8_t *rgb, const uint8_t *raw, const struct png_job *job) {
    static const uint8_t scale[9] = {[1] = 255, [2] = 85, [4] = 17, [8] = 1};
    for (size_t x = 0; x < job->width; x++) {
        uint8_t value;
        if (job->bit_depth == 16)
            value = raw[2 * x] != 0 ? 255 : raw[2 * x + 1]; /* Pillow clips 16-bit grey, it does not scale it */
        else
            value = (uint8_t)(raw[x] * scale[job->bit_depth]);
        memset(rgb + 3 * x, value, 3);
    }
}

/* Grey+alpha, RGB, RGBA: the high byte of each colour sample; alpha is dropped. */
static void samples_row(uint8_t *rgb, const uint8_t *raw, const struct png_job *job) {
    const size_t sample = job->bit_depth == 16 ? 2 : 1;
    const bool color = (job->color_type & PNG_COLOR_MASK_COLOR) != 0;
    const size_t channels = (color ? 3u : 1u) + ((job->color_type & PNG_COLOR_MASK_ALPHA) ? 1u : 0u);
    for (size_t x = 0; x < job->width; x++, raw += channels * sample, rgb += 3) {
        rgb[0] = raw[0];
        rgb[1] = raw[color ? sample : 0];
        rgb[2] = raw[color ? 2 * sample : 0];
    }
}

static void convert_row(uint8_t *rgb, const uint8_t *raw, const struct png_job *job) {
    if (job->color_type == PNG_COLOR_TYPE_PALETTE) {
        for (size_t x = 0; x < job->width; x++) memcpy(rgb + 3 * x, job->palette[raw[x]], 3);
    } else if (job->color_type == PNG_COLOR_TYPE_GRAY) {
        grey_row(rgb, raw, job);
    } else {
        samples_row(rgb, raw, job);
    }
    if (!job->has_key) return;
    for (size_t x = 0; x < job->width; x++) {
        if (memcmp(rgb + 3 * x, job->key, 3) == 0) memset(rgb + 3 * x, 255, 3);
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* ImageMagick's text form of an EXIF block: "\nexif\n<length>\n<hex digits in lines>", decoded in place. */
static size_t decode_raw_profile(char *text) {
    const char *digits = text;
    for (int line = 0; line < 3; line++) {
        digits = strchr(digits, '\n');
        if (digits == NULL) return 0;
        digits++;
    }
    size_t length = 0;
    for (int high = -1; *digits != '\0'; digits++) {
        const int digit = hex_digit(*digits);
        if (digit < 0) continue;
        if (high < 0) {
            high = digit;
        } else {
            text[length++] = (char)(high << 4 | digit);
            high = -1;
        }
    }
    return length;
}

static unsigned find_orientation(struct png_job *job) {
    const uint8_t *exif = NULL, *xmp = NULL;
    size_t exif_length = 0, xmp_length = 0;
    png_textp texts = NULL;
    int text_count = 0;
    png_get_text(job->png, job->info, &texts, &text_count);
    for (int i = 0; i < text_count; i++) {
        const bool wide = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
        if (strcmp(texts[i].key, "Raw profile type exif") == 0) {
            exif_length = decode_raw_profile(texts[i].text);
            exif = (const uint8_t *)texts[i].text;
        } else if (strcmp(texts[i].key, "XML:com.adobe.xmp") == 0) {
            xmp = (const uint8_t *)texts[i].text;
            xmp_length = wide ? texts[i].itxt_length : texts[i].text_length;
        }
    }
#ifdef PNG_eXIf_SUPPORTED
    png_bytep block = NULL;
    png_uint_32 block_length = 0;
    if (png_get_eXIf_1(job->png, job->info, &block_length, &block)) {
        exif = block;
        exif_length = block_length;
    }
#endif
    return strata_exif_orientation(exif, exif_length, xmp, xmp_length);
}

static int read_pixels(struct strata_image *out, struct png_job *job) {
    if (setjmp(png_jmpbuf(job->png))) return STRATA_ERR_INPUT;
    if (job->interlace == PNG_INTERLACE_NONE) {
        for (size_t y = 0; y < job->height; y++) {
            png_read_row(job->png, job->raw, NULL);
            convert_row(out->rgb + 3 * y * job->width, job->raw, job);
        }
    } else {
        for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
            for (size_t y = 0; y < job->height; y++) png_read_row(job->png, job->raw + y * job->row_bytes, NULL);
        }
        for (size_t y = 0; y < job->height; y++)
            convert_row(out->rgb + 3 * y * job->width, job->raw + y * job->row_bytes, job);
    }
    png_read_end(job->png, job->info); /* EXIF and text may follow the pixels */
    job->orientation = find_orientation(job);
    return 0;
}

/* Chunks up to IEND all lie inside the file. Asked first, because libpng makes room for what a chunk claims before it
 * reads it. */
static bool is_whole(const struct strata_image_input *input) {
    const uint8_t *bytes = input->bytes;
    for (size_t at = 8; input->length - at >= 12;) {
        const size_t length = png_get_uint_32(bytes + at);
        if (length > input->length - at - 12) return false;
        if (memcmp(bytes + at + 4, "IEND", 4) == 0) return true;
        at += length + 12;
    }
    return false;
}

static int decode(struct strata_image *out, struct png_job *job, struct strata_error *err) {
    if (!is_whole(job->input)) return strata_fail(err, STRATA_ERR_INPUT, "damaged PNG: the file is truncated");
    job->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, job, on_error, on_warning);
    if (job->png != NULL) job->info = png_create_info_struct(job->png);
    if (job->info == NULL) return strata_fail(err, STRATA_ERR_MEMORY, "no memory for the PNG decoder");
    int code = read_header(job);
    if (code) return strata_fail(err, code, "damaged PNG: %s", job->message);
    code = strata_image_allocate(out, job->width, job->height, job->input, err);
    if (code) return code;
    code = prepare_rows(job);
    if (code) return strata_fail(err, code, "damaged PNG: %s", job->message);
    code = strata_alloc(&job->raw, job->interlace == PNG_INTERLACE_NONE ? 1 : job->height, job->row_bytes, err);
    if (code) return code;
    code = read_pixels(out, job);
    if (code) return strata_fail(err, code, "damaged PNG: %s", job->message);
    return 0;
}

int strata_image_decode_png(struct strata_image *out, unsigned *orientation, const struct strata_image_input *input,
                            struct strata_error *err) {
    struct png_job job = {.input = input, .orientation = 1};
    int code = decode(out, &job, err);
    if (code) strata_fail_at_default(err, code, "%s", input->name);
    *orientation = job.orientation;
    png_destroy_read_struct(&job.png, &job.info, NULL);
    free(job.raw);
    if (code) strata_image_free(out);
    return code;
}
