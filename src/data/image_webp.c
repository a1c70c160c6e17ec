/* WebP through libwebp's animation decoder, as Pillow does: of an animation, the first frame on its canvas. */
#include <webp/decode.h>
#include <webp/demux.h>

#include "data/image_codec.h"

static unsigned find_orientation(const WebPDemuxer *file) {
    WebPChunkIterator exif, xmp;
    const int has_exif = WebPDemuxGetChunk(file, "EXIF", 1, &exif);
    const int has_xmp = WebPDemuxGetChunk(file, "XMP ", 1, &xmp);
    const unsigned orientation =
        strata_exif_orientation(has_exif ? exif.chunk.bytes : NULL, has_exif ? exif.chunk.size : 0,
                                has_xmp ? xmp.chunk.bytes : NULL, has_xmp ? xmp.chunk.size : 0);
    WebPDemuxReleaseChunkIterator(&exif);
    WebPDemuxReleaseChunkIterator(&xmp);
    return orientation;
}

/* Canvas pixels are RGBA, not premultiplied; alpha is dropped. */
static int read_first_frame(struct strata_image *out, const WebPData *data, struct strata_error *err) {
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options))
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "the libwebp that is installed has another version");
    options.color_mode = MODE_RGBA;
    options.use_threads = 0;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(data, &options);
    uint8_t *canvas = NULL;
    int timestamp;
    int code = 0;
    if (decoder == NULL || !WebPAnimDecoderGetNext(decoder, &canvas, &timestamp)) {
        code = strata_fail(err, STRATA_ERR_INPUT, "damaged WebP: the picture does not decode");
    } else {
        for (size_t i = 0; i < out->width * out->height; i++) {
            out->rgb[3 * i] = canvas[4 * i];
            out->rgb[3 * i + 1] = canvas[4 * i + 1];
            out->rgb[3 * i + 2] = canvas[4 * i + 2];
        }
    }
    WebPAnimDecoderDelete(decoder);
    return code;
}

int strata_image_decode_webp(struct strata_image *out, unsigned *orientation, const struct strata_image_input *input,
                             struct strata_error *err) {
    const WebPData data = {input->bytes, input->length};
    WebPDemuxState state;
    WebPDemuxer *file = WebPDemuxPartial(&data, &state);
    int code;
    if (file == NULL || state != WEBP_DEMUX_DONE) {
        code = strata_fail(err, STRATA_ERR_INPUT, "damaged WebP: %s",
                           state == WEBP_DEMUX_PARSE_ERROR ? "the container is malformed" : "the file is truncated");
    } else {
        /* Sizes are checked here, before the animation decoder allocates its canvas. */
        code = strata_image_allocate(out, WebPDemuxGetI(file, WEBP_FF_CANVAS_WIDTH),
                                     WebPDemuxGetI(file, WEBP_FF_CANVAS_HEIGHT), input, err);
        if (code == 0) code = read_first_frame(out, &data, err);
        if (code == 0) *orientation = find_orientation(file);
    }
    WebPDemuxDelete(file);
    if (code) {
        strata_fail_at_default(err, code, "%s", input->name);
        strata_image_free(out);
    }
    return code;
}
