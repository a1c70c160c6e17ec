#include "study/launch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

extern const char strata_launch_swift_sh[], strata_launch_trl_py[], strata_launch_verl_sh[],
    strata_launch_llamafactory_yaml[], strata_launch_deepspeed_json[], strata_launch_reward_py[];

/* A value that a text names as @KEY@. */
struct value {
    const char *key, *text;
};

/* For sh in single quotes; for Python, YAML and JSON as a JSON string. */
static void put_quoted(struct strata_buffer *out, const char *text, bool shell) {
    if (!shell) {
        json_t *string = json_string(text);
        if (string)
            strata_json_write(out, string);
        else
            out->failed = true;
        json_decref(string);
        return;
    }
    strata_buffer_byte(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            strata_buffer_text(out, "'\\''");
        else
            strata_buffer_byte(out, (unsigned char)*text);
    }
    strata_buffer_byte(out, '\'');
}

static void fill(struct strata_buffer *out, const char *text, const struct value *values, size_t count, bool shell) {
    while (*text) {
        size_t i = 0, length = 0;
        if (*text == '@') {
            for (; i < count; i++) {
                length = strlen(values[i].key);
                if (strncmp(text + 1, values[i].key, length) == 0 && text[length + 1] == '@') break;
            }
        }
        if (*text != '@' || i == count) {
            strata_buffer_byte(out, (unsigned char)*text++);
            continue;
        }
        put_quoted(out, values[i].text, shell);
        text += length + 2;
    }
}

static int write_text(const char *path, const char *text, const struct value *values, size_t count, bool shell,
                      struct strata_error *err) {
    struct strata_buffer filled = {0};
    if (strata_file_exists(path)) return 0;
    fill(&filled, text, values, count, shell);
    int code = strata_buffer_check(&filled, err);
    if (!code) code = strata_file_write(path, filled.data, filled.length, err);
    strata_buffer_free(&filled);
    return code;
}

static const char *last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int write_llamafactory(struct strata_buffer *path, bool *kept, const char *out, struct strata_error *err) {
    struct strata_buffer deepspeed = {0}, output = {0};
    char folder[PATH_MAX];
    if (!realpath(out, folder)) return strata_fail(err, STRATA_ERR_IO, "the directory is gone");
    strata_buffer_printf(path, "%s/sft.yaml", folder);
    strata_buffer_printf(&deepspeed, "%s/deepspeed.json", folder);
    strata_buffer_printf(&output, "%s/output", folder);
    const struct value values[] = {{"FOLDER", folder},
                                   {"NAME", last_name(folder)},
                                   {"DEEPSPEED", strata_buffer_string(&deepspeed)},
                                   {"OUTPUT", strata_buffer_string(&output)}};
    int code = path->failed || deepspeed.failed || output.failed
                   ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory")
                   : write_text(deepspeed.data, strata_launch_deepspeed_json, NULL, 0, false, err);
    *kept = !code && strata_file_exists(path->data);
    if (!code) code = write_text(path->data, strata_launch_llamafactory_yaml, values, 4, false, err);
    strata_buffer_free(&deepspeed);
    strata_buffer_free(&output);
    return code;
}

int strata_launch_write(struct strata_buffer *path, bool *kept, const char *out, enum strata_format format,
                        struct strata_error *err) {
    struct strata_buffer reward = {0};
    *kept = false;
    if (format == STRATA_FORMAT_LLAMAFACTORY) return write_llamafactory(path, kept, out, err);
    const char *text = format == STRATA_FORMAT_SWIFT  ? strata_launch_swift_sh
                       : format == STRATA_FORMAT_TRL  ? strata_launch_trl_py
                       : format == STRATA_FORMAT_VERL ? strata_launch_verl_sh
                                                      : NULL;
    if (!text) return 0;
    bool shell = format != STRATA_FORMAT_TRL;
    strata_buffer_printf(path, "%s.grpo.%s", out, shell ? "sh" : "py");
    strata_buffer_printf(&reward, "%s.reward.py", out);
    const struct value values[] = {{"NAME", last_name(out)}, {"REWARD", last_name(strata_buffer_string(&reward))}};
    int code = path->failed || reward.failed ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory")
                                             : write_text(reward.data, strata_launch_reward_py, NULL, 0, false, err);
    *kept = !code && strata_file_exists(path->data);
    if (!code) code = write_text(path->data, text, values, 2, shell, err);
    strata_buffer_free(&reward);
    return code;
}
