/* Element types of safetensors files and their conversion to fp32. Source of the format and of the type names:
 * huggingface/safetensors, "Format". Tensor data may lie at any byte of the file, so it is copied out, never cast. */
#include <string.h>

#include "base/bf16.h"
#include "model/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is read in place as little-endian");

static const struct {
    const char *name;
    size_t size;
} DTYPES[] = {
    [STRATA_DTYPE_F32] = {"F32", 4}, [STRATA_DTYPE_BF16] = {"BF16", 2}, [STRATA_DTYPE_F16] = {"F16", 2},
    [STRATA_DTYPE_I32] = {"I32", 4}, [STRATA_DTYPE_I64] = {"I64", 8},   [STRATA_DTYPE_U8] = {"U8", 1},
    [STRATA_DTYPE_F64] = {"F64", 8},
};

size_t strata_dtype_size(enum strata_dtype dtype) {
    return DTYPES[dtype].size;
}

const char *strata_dtype_name(enum strata_dtype dtype) {
    return DTYPES[dtype].name;
}

bool strata_dtype_parse(enum strata_dtype *out, const char *name) {
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++) {
        if (strcmp(name, DTYPES[i].name) == 0) {
            *out = (enum strata_dtype)i;
            return true;
        }
    }
    return false;
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) /* infinity and NaN: exponent all ones */
        return float_of_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x0400u) /* normal: exponent bias 15 -> 127 */
        return float_of_bits(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
    float value = (float)magnitude * 0x1p-24f; /* subnormal: magnitude units of 2^-24, exact */
    return float_of_bits(sign | bits_of_float(value));
}

int strata_tensor_floats(float *out, const struct strata_tensor *tensor, size_t first, size_t count,
                         struct strata_error *err) {
    enum { CHUNK = 1024 };
    uint16_t chunk[CHUNK];
    if (first > tensor->count || count > tensor->count - first)
        return strata_fail(err, STRATA_ERR_USAGE, "elements [%zu, %zu+%zu) asked of tensor '%.200s', which has %zu",
                           first, first, count, tensor->name, tensor->count);
    if (tensor->dtype != STRATA_DTYPE_F32 && tensor->dtype != STRATA_DTYPE_BF16 && tensor->dtype != STRATA_DTYPE_F16)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "tensor '%.200s' is %s; F32, BF16 or F16 is needed",
                           tensor->name, strata_dtype_name(tensor->dtype));
    const unsigned char *source = (const unsigned char *)tensor->data + first * strata_dtype_size(tensor->dtype);
    if (count > 0 && tensor->dtype == STRATA_DTYPE_F32) {
        memcpy(out, source, count * sizeof *out);
        return STRATA_OK;
    }
    for (size_t done = 0; done < count; done += CHUNK) {
        size_t n = count - done < CHUNK ? count - done : CHUNK;
        memcpy(chunk, source + done * sizeof *chunk, n * sizeof *chunk);
        if (tensor->dtype == STRATA_DTYPE_BF16)
            for (size_t i = 0; i < n; i++) out[done + i] = strata_bf16_widen(chunk[i]);
        else
            for (size_t i = 0; i < n; i++) out[done + i] = float_of_half(chunk[i]);
    }
    return STRATA_OK;
}
