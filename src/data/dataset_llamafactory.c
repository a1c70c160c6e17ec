/* LLaMA-Factory's dataset_info.json: which file a data set is, and how its columns and tags are called. Records leave
 * here under the standard names (sharegpt: conversations of from/value with human, gpt and system; alpaca: instruction,
 * input, output, history, system), which sample.c reads from any file. Source: its data/README.md and data_parser.py.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"

#define INFO_LIMIT ((size_t)1 << 24)

/* ---- finding the file ---- */

static int refuse_choice(const json_t *info, const char *path, const char *directory, const char *name,
                         struct strata_error *err) {
    struct strata_buffer names = {0};
    const char *key;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)info, key, entry) {
        strata_buffer_printf(&names, "%s%s", names.length ? ", " : "", key);
    }
    int code = name ? strata_fail(err, STRATA_ERR_INPUT, "there is no data set \"%s\"", name)
                    : strata_fail(err, STRATA_ERR_INPUT, "%zu data sets are described", json_object_size(info));
    strata_fail_at(err, code, "%s", path);
    strata_fail_hint(err, code, "%.100s:NAME takes one of: %.250s", directory, strata_buffer_string(&names));
    strata_buffer_free(&names);
    return code;
}

static int read_entry(struct strata_data_files *out, const json_t *entry, const char *path, const char *directory,
                      struct strata_error *err) {
    const char *file = NULL, *formatting = "alpaca";
    struct strata_mapping *mapping;
    bool ranking = false;
    int code = strata_json_string(&formatting, entry, "formatting", false, path, err);
    if (!code) code = strata_json_bool(&ranking, entry, "ranking", false, path, err);
    if (!code) code = strata_json_string(&file, entry, "file_name", false, path, err);
    if (code) return code;
    bool sharegpt = strcmp(formatting, "sharegpt") == 0;
    if (!file || ranking || (!sharegpt && strcmp(formatting, "alpaca") != 0)) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s",
                    !file     ? "the data set has no \"file_name\" (it is on a hub)"
                    : ranking ? "the data set is one of preferences (ranking)"
                              : "\"formatting\" is neither sharegpt nor alpaca");
        return strata_fail_at(err, STRATA_ERR_UNSUPPORTED, "%s", path);
    }
    char *full = strata_path_join(directory, file);
    code =
        full ? strata_data_files_add(out, full, directory, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(full);
    if (!code) code = strata_alloc(&mapping, 1, sizeof *mapping, err);
    if (code) return code;
    *mapping = (struct strata_mapping){sharegpt, json_incref(json_object_get(entry, "columns")),
                                       json_incref(json_object_get(entry, "tags"))};
    out->items[out->count - 1].mapping = mapping;
    return 0;
}

int strata_llamafactory_find(struct strata_data_files *out, const char *directory, const char *name,
                             struct strata_error *err) {
    char *path = strata_path_join(directory, STRATA_LLAMAFACTORY_INFO);
    json_t *info = NULL;
    int code =
        path ? strata_json_load(&info, path, INFO_LIMIT, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) {
        const json_t *entry = name                          ? json_object_get(info, name)
                              : json_object_size(info) == 1 ? json_object_iter_value(json_object_iter(info))
                                                            : NULL;
        code = json_is_object(entry) ? read_entry(out, entry, path, directory, err)
                                     : refuse_choice(info, path, directory, name, err);
    }
    json_decref(info);
    free(path);
    return code;
}

/* ---- names ---- */

/* What the entry calls column or tag `key`, or its standard name. */
static const char *named(const json_t *names, const char *key, const char *standard) {
    const char *text = json_string_value(json_object_get(names, key));
    return text ? text : standard;
}

static int not_a_turn(const char *where, const char *what, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_INPUT, "%s", what);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
}

/* A turn under the standard tags, as a new reference; other members are kept. */
static int standard_turn(json_t **out, const json_t *turn, const json_t *tags, const char *where,
                         struct strata_error *err) {
    static const struct {
        const char *tag, *name;
    } roles[] = {{"user_tag", "human"}, {"assistant_tag", "gpt"}, {"system_tag", "system"}};
    const char *role_key = named(tags, "role_tag", "from"), *content_key = named(tags, "content_tag", "value");
    const char *role = json_string_value(json_object_get(turn, role_key)), *standard = role, *key;
    json_t *value;
    *out = NULL;
    if (!role || !json_object_get(turn, content_key))
        return not_a_turn(where, "a turn lacks its role or its content (see tags in " STRATA_LLAMAFACTORY_INFO ")",
                          err);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(role, named(tags, roles[i].tag, roles[i].name)) == 0) standard = roles[i].name;
    *out = json_pack("{s:s, s:O}", "from", standard, "value", json_object_get(turn, content_key));
    json_object_foreach((json_t *)(uintptr_t)turn, key, value) {
        if (strcmp(key, role_key) != 0 && strcmp(key, content_key) != 0 && *out) json_object_set(*out, key, value);
    }
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* The turns under the standard tags, with the text of a system column before them. */
static int standard_turns(json_t **out, const json_t *turns, const json_t *system, const json_t *tags,
                          const char *where, struct strata_error *err) {
    *out = json_array();
    if (!json_is_array(turns)) return not_a_turn(where, "the turns are no list", err);
    bool has_system = false;
    int code = 0;
    for (size_t i = 0; i < json_array_size(turns) && !code; i++) {
        json_t *turn;
        code = standard_turn(&turn, json_array_get(turns, i), tags, where, err);
        if (!code && i == 0) has_system = strcmp(json_string_value(json_object_get(turn, "from")), "system") == 0;
        if (!code && json_array_append_new(*out, turn)) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (!code && !has_system && json_string_length(system) > 0) {
        json_t *turn = json_pack("{s:s, s:O}", "from", "system", "value", system);
        if (json_array_insert_new(*out, 0, turn)) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    return code;
}

struct rename {
    const char *from, *to;
};

/* Columns that the entry can name: its key, and the standard name. */
static size_t list_renames(struct rename renames[6], const struct strata_mapping *mapping) {
    static const struct rename sharegpt[] = {{"messages", "conversations"}, {"images", "images"}};
    static const struct rename alpaca[] = {{"prompt", "instruction"}, {"query", "input"},   {"response", "output"},
                                           {"history", "history"},    {"system", "system"}, {"images", "images"}};
    const struct rename *standard = mapping->sharegpt ? sharegpt : alpaca;
    size_t count = mapping->sharegpt ? sizeof sharegpt / sizeof *sharegpt : sizeof alpaca / sizeof *alpaca;
    for (size_t i = 0; i < count; i++)
        renames[i] = (struct rename){named(mapping->columns, standard[i].from, standard[i].to), standard[i].to};
    return count;
}

int strata_llamafactory_rename(json_t **record, const struct strata_mapping *mapping, const char *where,
                               struct strata_error *err) {
    struct rename renames[6];
    size_t count = list_renames(renames, mapping);
    json_t *old = *record, *renamed = json_object(), *value;
    const json_t *system = json_object_get(old, named(mapping->columns, "system", ""));
    const char *key;
    int code = 0;
    *record = NULL;
    json_object_foreach(old, key, value) {
        const char *name = key;
        char moved[128];
        json_t *own = json_incref(value);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(key, renames[i].from) == 0) {
                name = renames[i].to;
                break;
            }
            if (strcmp(key, renames[i].to) != 0) continue;
            snprintf(moved, sizeof moved, "original_%s", key); /* an extra column that has a standard name */
            name = moved;
        }
        if (!code && mapping->sharegpt && strcmp(name, "conversations") == 0) {
            json_decref(own);
            code = standard_turns(&own, value, system, mapping->tags, where, err);
        }
        if (json_object_set_new(renamed, name, own) && !code)
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    json_decref(old);
    if (code)
        json_decref(renamed);
    else
        *record = renamed;
    return code;
}
