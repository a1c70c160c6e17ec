/* Any bytes as a safetensors file: refused with an error, or every tensor readable and found by its name. */
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

static void check_tensor(const struct strata_safetensors *file, const struct strata_tensor *tensor) {
    float values[64];
    volatile unsigned char sum = 0;
    size_t count = 1, bytes = tensor->count * strata_dtype_size(tensor->dtype);
    for (size_t i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    if (count != tensor->count || strata_safetensors_find(file, tensor->name) != tensor) abort();
    for (size_t i = 0; i < bytes; i++) sum = (unsigned char)(sum ^ ((const unsigned char *)tensor->data)[i]);
    (void)strata_tensor_floats(values, tensor, 0, tensor->count < 64 ? tensor->count : 64, NULL);
    if (strata_tensor_floats(values, tensor, tensor->count, 1, NULL) != STRATA_ERR_USAGE) abort();
    strata_safetensors_release(file, tensor);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct strata_safetensors *file = NULL;
    struct strata_error err = {0};
    int code = strata_safetensors_parse(&file, bytes, size, "fuzz", &err);
    if ((code == STRATA_OK) != (file != NULL) || code != err.code) abort();
    if (code && (!err.what[0] || !err.where[0])) abort();
    for (size_t i = 0; file && i < strata_safetensors_count(file); i++)
        check_tensor(file, strata_safetensors_at(file, i));
    strata_safetensors_close(file);
    return 0;
}
