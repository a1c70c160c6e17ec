/* JPEG through libjpeg-turbo with its defaults (slow integer DCT, fancy upsampling), which are Pillow's too.
 *
 * libjpeg's error_exit must not return, so it jumps. Everything that must survive the jump lives in struct jpeg_job,
 * reached through a pointer that no function changes after its setjmp. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/memory.h"
#include "data/image_codec.h"

#define MAX_SCANS 500 /* a progressive file needs a dozen; thousands of empty ones only burn time */

struct jpeg_job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const struct strata_image_input *input;
    const char *own_message; /* instead of libjpeg's */
    uint8_t *cmyk_row;
    uint8_t *exif; /* all EXIF segments joined */
    size_t exif_length;
    unsigned orientation;
};

static void on_error(j_common_ptr jpeg) {
    struct jpeg_job *job = jpeg->client_data;
    longjmp(job->escape, 1);
}

/* Warnings (bad entropy data) are counted by libjpeg; Pillow ignores them, and many real files have some. */
static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0) jpeg->err->num_warnings++;
}

static void fail_with(j_decompress_ptr jpeg, const char *message) {
    struct jpeg_job *job = jpeg->client_data;
    job->own_message = message;
    longjmp(job->escape, 1);
}

static boolean on_end_of_input(j_decompress_ptr jpeg) {
    fail_with(jpeg, "the file is truncated");
    return FALSE;
}

static void on_progress(j_common_ptr common) {
    j_decompress_ptr jpeg = (j_decompress_ptr)common;
    if (jpeg->input_scan_number > MAX_SCANS) fail_with(jpeg, "more than 500 scans");
}

/* EXIF may be split over several APP1 segments: the first keeps its "Exif\0\0", the others lose it. The last XMP
 * segment counts. */
static void find_orientation(struct jpeg_job *job) {
    static const char xmp_magic[] = "http://ns.adobe.com/xap/1.0/"; /* with its NUL */
    const uint8_t *xmp = NULL;
    size_t xmp_length = 0, total = 0;
    for (jpeg_saved_marker_ptr marker = job->jpeg.marker_list; marker != NULL; marker = marker->next)
        total += marker->data_length;
    if (total == 0 || strata_alloc(&job->exif, total, 1, NULL)) return;
    for (jpeg_saved_marker_ptr marker = job->jpeg.marker_list; marker != NULL; marker = marker->next) {
        if (marker->data_length >= 6 && memcmp(marker->data, "Exif\0\0", 6) == 0) {
            const size_t skip = job->exif_length > 0 ? 6 : 0;
            memcpy(job->exif + job->exif_length, marker->data + skip, marker->data_length - skip);
            job->exif_length += marker->data_length - skip;
        } else if (marker->data_length >= sizeof xmp_magic && memcmp(marker->data, xmp_magic, sizeof xmp_magic) == 0) {
            xmp = marker->data + sizeof xmp_magic;
            xmp_length = marker->data_length - sizeof xmp_magic;
        }
    }
    job->orientation = strata_exif_orientation(job->exif, job->exif_length, xmp, xmp_length);
}

static int read_header(struct jpeg_job *job) {
    if (setjmp(job->escape)) return STRATA_ERR_INPUT;
    jpeg_create_decompress(&job->jpeg);
    job->progress.progress_monitor = on_progress;
    job->jpeg.progress = &job->progress;
    jpeg_mem_src(&job->jpeg, job->input->bytes, (unsigned long)job->input->length);
    job->jpeg.src->fill_input_buffer = on_end_of_input;
    jpeg_save_markers(&job->jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&job->jpeg, TRUE);
    find_orientation(job);
    switch (job->jpeg.num_components) {
    case 1:
        job->jpeg.out_color_space = JCS_GRAYSCALE;
        return 0;
    case 3:
        job->jpeg.out_color_space = JCS_RGB;
        return 0;
    case 4:
        job->jpeg.out_color_space = JCS_CMYK;
        return 0;
    default:
        job->own_message = "the number of components is not 1, 3 or 4";
        return STRATA_ERR_UNSUPPORTED;
    }
}

/* round(a*b/255), as Pillow computes it. */
static unsigned multiply_255(unsigned a, unsigned b) {
    const unsigned product = a * b + 128;
    return ((product >> 8) + product) >> 8;
}

/* Four components are stored inverted (Adobe's convention, assumed always, as Pillow does): 255 - stored is the ink. */
static void cmyk_row_to_rgb(uint8_t *rgb, const uint8_t *stored, size_t width) {
    for (size_t x = 0; x < width; x++, rgb += 3, stored += 4) {
        const unsigned light = stored[3];
        for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(light - multiply_255(255u - stored[c], light));
    }
}

static void spread_grey_row(uint8_t *rgb, size_t width) {
    for (size_t x = width; x-- > 0;) memset(rgb + 3 * x, rgb[x], 3);
}

static int read_pixels(struct strata_image *out, struct jpeg_job *job) {
    if (setjmp(job->escape)) return STRATA_ERR_INPUT;
    jpeg_start_decompress(&job->jpeg);
    while (job->jpeg.output_scanline < job->jpeg.output_height) {
        uint8_t *rgb = out->rgb + 3 * out->width * job->jpeg.output_scanline;
        JSAMPROW row = job->cmyk_row != NULL ? job->cmyk_row : rgb;
        jpeg_read_scanlines(&job->jpeg, &row, 1);
        if (job->cmyk_row != NULL)
            cmyk_row_to_rgb(rgb, job->cmyk_row, out->width);
        else if (job->jpeg.num_components == 1)
            spread_grey_row(rgb, out->width);
    }
    jpeg_finish_decompress(&job->jpeg); /* fails where the end mark is missing */
    return 0;
}

static int fail_damaged(struct jpeg_job *job, int code, struct strata_error *err) {
    char message[JMSG_LENGTH_MAX] = "";
    if (job->own_message == NULL) job->errors.format_message((j_common_ptr)&job->jpeg, message);
    return strata_fail(err, code, "%s JPEG: %s", code == STRATA_ERR_UNSUPPORTED ? "unusable" : "damaged",
                       job->own_message != NULL ? job->own_message : message);
}

static int decode(struct strata_image *out, struct jpeg_job *job, struct strata_error *err) {
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->jpeg.client_data = job;
    int code = read_header(job);
    if (code) return fail_damaged(job, code, err);
    code = strata_image_allocate(out, job->jpeg.image_width, job->jpeg.image_height, job->input, err);
    if (code) return code;
    if (job->jpeg.num_components == 4) {
        code = strata_alloc(&job->cmyk_row, job->jpeg.image_width, 4, err);
        if (code) return code;
    }
    code = read_pixels(out, job);
    return code ? fail_damaged(job, code, err) : 0;
}

int strata_image_decode_jpeg(struct strata_image *out, unsigned *orientation, const struct strata_image_input *input,
                             struct strata_error *err) {
    struct jpeg_job job = {.input = input, .orientation = 1};
    int code = decode(out, &job, err);
    if (code) strata_fail_at_default(err, code, "%s", input->name);
    *orientation = job.orientation;
    jpeg_destroy_decompress(&job.jpeg);
    free(job.cmyk_row);
    free(job.exif);
    if (code) strata_image_free(out);
    return code;
}
