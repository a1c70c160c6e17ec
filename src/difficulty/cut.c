/* How answers are cut, as text and back. */
#include <string.h>

#include "base/json.h"
#include "difficulty/evaluate.h"

void strata_cut_default(struct strata_cut *cut) {
    *cut = (struct strata_cut){.attempts = 1};
    strata_pism_rule_default(&cut->pism);
    strata_cmab_paper(&cut->cmab);
}

unsigned strata_cut_chance_need(double *p, const struct strata_cut *cut, double chance) {
    *p = cut->chance == STRATA_CHANCE_FIXED ? cut->chance_p : cut->chance == STRATA_CHANCE_AUTO ? chance : 0;
    return *p > 0 && *p < 1 ? strata_pism_chance_need(cut->pism.draws, *p) : 0;
}

char *strata_cut_text(const struct strata_cut *cut) {
    const struct strata_pism_rule *pism = &cut->pism;
    const struct strata_cmab_options *cmab = &cut->cmab;
    json_t *object = json_pack(
        "{s:i, s:i, s:i, s:b, s:i, s:i, s:b, s:i, s:f, s:s, s:i, s:s, s:s, s:b, s:[f,f,f,f], s:i}", "draws",
        (int)pism->draws, "ratios", (int)pism->ratios, "need", (int)pism->need, "full_curve", (int)pism->full_curve,
        "hard_to", (int)pism->hard_to, "easy_from", (int)pism->easy_from, "easy_open", (int)pism->easy_open, "chance",
        (int)cut->chance, "chance_p", cut->chance_p, "cmab_pool", strata_cmab_pool_name(cmab->pool), "cmab_layers",
        cmab->layers, "cmab_over", strata_cmab_over_name(cmab->over), "cmab_text", strata_cmab_text_name(cmab->text),
        "cmab_skip_first", (int)cmab->skip_first, "cmab_bands", cmab->bands[0], cmab->bands[1], cmab->bands[2],
        cmab->bands[3], "attempts", (int)cut->attempts);
    char *text = object ? strata_json_line(object) : NULL;
    json_decref(object);
    return text;
}

static int read_unsigned(unsigned *out, const json_t *object, const char *key, int64_t low, int64_t high,
                         const char *name, struct strata_error *err) {
    int64_t value = 0;
    int code = strata_json_int(&value, object, key, true, low, high, name, err);
    *out = (unsigned)value;
    return code;
}

static int read_cmab(struct strata_cmab_options *cmab, const json_t *object, const char *name,
                     struct strata_error *err) {
    const char *pool = NULL, *over = NULL, *text = NULL;
    const json_t *bands = json_object_get(object, "cmab_bands");
    int64_t layers = 0;
    int code = strata_json_string(&pool, object, "cmab_pool", true, name, err);
    if (!code) code = strata_json_string(&over, object, "cmab_over", true, name, err);
    if (!code) code = strata_json_string(&text, object, "cmab_text", true, name, err);
    if (!code) code = strata_json_int(&layers, object, "cmab_layers", true, STRATA_CMAB_LAYERS_ALL, 65535, name, err);
    if (!code) code = strata_json_bool(&cmab->skip_first, object, "cmab_skip_first", true, name, err);
    if (!code) code = strata_cmab_pool_parse(&cmab->pool, pool, err);
    if (!code) code = strata_cmab_over_parse(&cmab->over, over, err);
    if (!code) code = strata_cmab_text_parse(&cmab->text, text, err);
    cmab->layers = (int)layers;
    for (size_t i = 0; i < 4; i++) cmab->bands[i] = json_number_value(json_array_get(bands, i));
    return code;
}

int strata_cut_parse(struct strata_cut *cut, const char *text, const char *name, struct strata_error *err) {
    struct strata_pism_rule *pism = &cut->pism;
    unsigned chance = 0;
    json_t *object;
    strata_cut_default(cut);
    int code = strata_json_parse(&object, text, strlen(text), name, 1, err);
    if (code) return code;
    code = read_unsigned(&pism->draws, object, "draws", 1, STRATA_PISM_MAX_DRAWS, name, err);
    if (!code) code = read_unsigned(&pism->ratios, object, "ratios", 1, 1023, name, err);
    if (!code) code = read_unsigned(&pism->need, object, "need", 1, pism->draws, name, err);
    if (!code) code = read_unsigned(&pism->hard_to, object, "hard_to", 0, 9, name, err);
    if (!code) code = read_unsigned(&pism->easy_from, object, "easy_from", 0, 9, name, err);
    if (!code) code = read_unsigned(&chance, object, "chance", 0, STRATA_CHANCE_FIXED, name, err);
    if (!code) code = read_unsigned(&cut->attempts, object, "attempts", 1, 1 << 20, name, err);
    if (!code) code = strata_json_bool(&pism->full_curve, object, "full_curve", true, name, err);
    if (!code) code = strata_json_bool(&pism->easy_open, object, "easy_open", true, name, err);
    if (!code) code = strata_json_real(&cut->chance_p, object, "chance_p", true, name, err);
    if (!code) code = read_cmab(&cut->cmab, object, name, err);
    cut->chance = (enum strata_chance_kind)chance;
    json_decref(object);
    return code;
}
