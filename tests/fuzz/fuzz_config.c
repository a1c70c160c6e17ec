/* Any bytes as config.json and generation_config.json: refused with an error, or a config whose weight table can be
 * built and whose written form reads back as the same. */
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/weights.h"

static void check_config(const struct strata_model_config *config) {
    struct strata_model_config again;
    struct strata_weight_row *rows;
    size_t count;
    char *text;
    if (config->text.heads % config->text.kv_heads || config->text.head_size % 2) abort();
    if (strata_weights_table(&rows, &count, config, NULL, NULL)) abort();
    free(rows);
    if (strata_model_config_text(&text, config, "float32", NULL)) abort();
    if (strata_model_config_parse(&again, text, strlen(text), "written", NULL)) abort();
    if (again.text.rope_theta != config->text.rope_theta || again.text.rms_eps != config->text.rms_eps ||
        again.text.head_size != config->text.head_size || again.vision.hidden != config->vision.hidden)
        abort();
    free(text);
}

/* A zero byte divides the two files. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct strata_model_config config;
    struct strata_error err = {0};
    const uint8_t *end = size ? memchr(bytes, 0, size) : NULL;
    size_t length = end ? (size_t)(end - bytes) : size;
    int code = strata_model_config_parse(&config, (const char *)bytes, length, "fuzz", &err);
    if (code != err.code || (code && (!err.what[0] || !err.where[0]))) abort();
    if (code) return 0;
    check_config(&config);
    if (end) (void)strata_generation_config_parse(&config, (const char *)end + 1, size - length - 1, "fuzz", &err);
    return 0;
}
