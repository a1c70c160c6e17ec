/* config.json in its layouts, by editing one good config a key at a time; golden configs where they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "model/config.h"
#include "model/temporary.h"

/* Flat, as on the hub; and the same model as transformers 5 saves it. */
static const char FLAT[] =
    "{'model_type':'qwen2_5_vl','hidden_act':'silu','hidden_size':48,'intermediate_size':53,"
    "'max_position_embeddings':4096,'num_attention_heads':2,'num_hidden_layers':5,'num_key_value_heads':2,"
    "'rms_norm_eps':1e-06,'rope_theta':1000000.0,'sliding_window':32768,'use_sliding_window':false,"
    "'tie_word_embeddings':true,'vocab_size':1031,'eos_token_id':1002,'vision_start_token_id':1009,"
    "'vision_end_token_id':1010,'image_token_id':1012,'video_token_id':1013,"
    "'rope_scaling':{'type':'mrope','mrope_section':[2,5,5]},"
    "'vision_config':{'depth':4,'hidden_act':'silu','hidden_size':32,'intermediate_size':29,'num_heads':2,"
    "'in_chans':3,'out_hidden_size':48,'patch_size':14,'spatial_merge_size':2,'window_size':112,"
    "'fullatt_block_indexes':[1,3],'temporal_patch_size':2,'tokens_per_second':2}}";
static const char NESTED[] =
    "{'model_type':'qwen2_5_vl','tie_word_embeddings':true,'vision_start_token_id':1009,"
    "'vision_end_token_id':1010,'image_token_id':1012,'video_token_id':1013,"
    "'text_config':{'model_type':'qwen2_5_vl_text','hidden_act':'silu','hidden_size':48,'intermediate_size':53,"
    "'max_position_embeddings':4096,'num_attention_heads':2,'num_hidden_layers':5,'num_key_value_heads':null,"
    "'rms_norm_eps':1e-06,'sliding_window':null,'use_sliding_window':false,'vocab_size':1031,'eos_token_id':1002,"
    "'head_dim':24,'layer_types':['full_attention','full_attention'],'rope_parameters':{'rope_theta':1000000.0,"
    "'rope_type':'default','type':'mrope','mrope_section':[2,5,5]}},"
    "'vision_config':{'model_type':'qwen2_5_vl_vision','depth':4,'hidden_act':'silu','embed_dim':32,"
    "'intermediate_size':29,'num_heads':2,'in_channels':3,'fullatt_block_indexes':[1,3,7]}}";

/* text with ' for ", and the first `from` (a part of it; NULL: none) replaced by `to`. */
static char *edited(const char *text, const char *from, const char *to) {
    const char *at = from ? strstr(text, from) : text;
    assert_non_null(at);
    size_t head = (size_t)(at - text), tail = head + (from ? strlen(from) : 0);
    size_t size = strlen(text) + (to ? strlen(to) : 0) + 1;
    char *out = malloc(size);
    assert_non_null(out);
    snprintf(out, size, "%.*s%s%s", (int)head, text, to ? to : "", text + tail);
    for (char *c = out; *c; c++)
        if (*c == '\'') *c = '"';
    return out;
}

static int parse(struct strata_model_config *config, const char *text, const char *from, const char *to,
                 struct strata_error *err) {
    char *json = edited(text, from, to);
    int code = strata_model_config_parse(config, json, strlen(json), "config.json", err);
    free(json);
    return code;
}

static void good(struct strata_model_config *config, const char *text, const char *from, const char *to) {
    struct strata_error err = {0};
    char line[1400];
    if (parse(config, text, from, to, &err)) fail_msg("%s", strata_error_line(&err, line, sizeof line));
}

static void assert_same(const struct strata_model_config *a, const struct strata_model_config *b) {
    const struct strata_text_config *s = &a->text, *t = &b->text;
    const struct strata_vision_config *v = &a->vision, *w = &b->vision;
    assert_int_equal(s->hidden, t->hidden);
    assert_int_equal(s->layers, t->layers);
    assert_int_equal(s->heads, t->heads);
    assert_int_equal(s->kv_heads, t->kv_heads);
    assert_int_equal(s->head_size, t->head_size);
    assert_int_equal(s->intermediate, t->intermediate);
    assert_int_equal(s->vocabulary, t->vocabulary);
    assert_int_equal(s->context, t->context);
    assert_true(s->rms_eps == t->rms_eps && s->rope_theta == t->rope_theta && s->tied == t->tied);
    assert_true(a->initializer_range == b->initializer_range);
    assert_memory_equal(s->mrope_sections, t->mrope_sections, sizeof s->mrope_sections);
    assert_int_equal(v->hidden, w->hidden);
    assert_int_equal(v->depth, w->depth);
    assert_int_equal(v->heads, w->heads);
    assert_int_equal(v->intermediate, w->intermediate);
    assert_int_equal(v->out_hidden, w->out_hidden);
    assert_int_equal(v->patch_size, w->patch_size);
    assert_int_equal(v->merge_size, w->merge_size);
    assert_int_equal(v->temporal_patch_size, w->temporal_patch_size);
    assert_int_equal(v->channels, w->channels);
    assert_int_equal(v->window_size, w->window_size);
    assert_memory_equal(v->full_attention, w->full_attention, sizeof v->full_attention);
    assert_memory_equal(&a->special, &b->special, sizeof a->special);
    assert_int_equal(a->stop_count, b->stop_count);
    assert_memory_equal(a->stop_ids, b->stop_ids, sizeof a->stop_ids);
}

static void reads_both_layouts(void **state) {
    (void)state;
    struct strata_model_config flat, nested, changed;
    good(&flat, FLAT, NULL, NULL);
    good(&nested, NESTED, NULL, NULL);
    assert_int_equal(flat.text.head_size, 24);
    assert_int_equal(flat.text.kv_heads, 2);
    assert_int_equal(flat.text.mrope_sections[0], 2);
    assert_true(flat.text.tied && flat.text.rms_eps == 1e-6f && flat.text.rope_theta == 1e6);
    assert_true(!flat.vision.full_attention[0] && flat.vision.full_attention[1] && flat.vision.full_attention[3]);
    assert_int_equal(flat.special.image, 1012);
    assert_int_equal(flat.special.im_end, -1);
    assert_int_equal(flat.stop_count, 1);
    assert_int_equal(flat.stop_ids[0], 1002);
    assert_same(&flat, &nested);
    good(&changed, FLAT, "'tie_word_embeddings':true", "'tie_word_embeddings':false");
    assert_false(changed.text.tied);
    good(&changed, NESTED, "'hidden_act'", "'tie_word_embeddings':true,'hidden_act'");
    assert_true(changed.text.tied);
    good(&changed, NESTED, "'tie_word_embeddings':true,", "");
    assert_false(changed.text.tied);
    good(&changed, FLAT, "'rope_scaling':{'type':'mrope'", "'rope_scaling':{'type':'default','rope_type':'default'");
    assert_same(&flat, &changed);
    /* transformers 4.5x writes both: text_config wins. */
    good(&changed, NESTED, "'tie_word_embeddings'", "'hidden_size':7,'rope_theta':5.0,'tie_word_embeddings'");
    assert_same(&flat, &changed);
    /* a head size of its own */
    good(&changed, NESTED, "'hidden_size':48", "'hidden_size':50");
    assert_int_equal(changed.text.head_size, 24);
}

static void reads_stop_ids(void **state) {
    (void)state;
    struct strata_model_config config;
    const char list[] = "{\"eos_token_id\":[1002,1000,1002],\"repetition_penalty\":1.05}";
    good(&config, FLAT, "'eos_token_id':1002", "'eos_token_id':[5,1002]");
    assert_int_equal(config.stop_count, 2);
    assert_int_equal(config.stop_ids[1], 1002);
    assert_true(config.generation_repetition_penalty == 1.0f);
    assert_int_equal(strata_generation_config_parse(&config, list, strlen(list), "g", NULL), STRATA_OK);
    assert_int_equal(config.stop_count, 2);
    assert_int_equal(config.stop_ids[0], 1002);
    assert_int_equal(config.stop_ids[1], 1000);
    assert_true(config.generation_repetition_penalty == 1.05f);
    assert_int_equal(strata_generation_config_parse(&config, "{\"eos_token_id\":7}", 18, "g", NULL), STRATA_OK);
    assert_int_equal(config.stop_count, 1);
    assert_int_equal(config.stop_ids[0], 7);
    assert_int_equal(strata_generation_config_parse(&config, "{}", 2, "g", NULL), STRATA_OK);
    assert_int_equal(config.stop_count, 1);
    assert_int_equal(strata_generation_config_parse(&config, "{\"eos_token_id\":1031}", 21, "g", NULL),
                     STRATA_ERR_INPUT);
    assert_int_equal(strata_generation_config_parse(&config, "{\"repetition_penalty\":0}", 24, "g", NULL),
                     STRATA_ERR_INPUT);
    assert_int_equal(strata_generation_config_parse(&config, "[]", 2, "g", NULL), STRATA_ERR_INPUT);
    good(&config, FLAT, "'eos_token_id':1002", "'eos_token_id':[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]");
    assert_int_equal(config.stop_count, STRATA_MAX_STOP_IDS);
    assert_int_equal(
        parse(&config, FLAT, "'eos_token_id':1002", "'eos_token_id':[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]", NULL),
        STRATA_ERR_UNSUPPORTED);
}

static void refuses_bad_values(void **state) {
    (void)state;
    enum { IN = STRATA_ERR_INPUT, NO = STRATA_ERR_UNSUPPORTED };
    static const struct {
        const char *text, *from, *to;
        int code;
        const char *part;
    } cases[] = {
        {FLAT, "'model_type':'qwen2_5_vl',", "", IN, "model_type"},
        {FLAT, "'qwen2_5_vl'", "'qwen2_vl'", NO, "qwen2_vl"},
        {FLAT, "'qwen2_5_vl'", "'qwen3_vl'", NO, "qwen3_vl"},
        {NESTED, "'qwen2_5_vl_text'", "'qwen3'", NO, "qwen3"},
        {NESTED, "'qwen2_5_vl_vision'", "'siglip'", NO, "siglip"},
        {FLAT, "'hidden_act':'silu'", "'hidden_act':'gelu'", NO, "hidden_act"},
        {FLAT, "'depth':4,'hidden_act':'silu'", "'depth':4,'hidden_act':'quick_gelu'", NO, "hidden_act"},
        {FLAT, "'use_sliding_window':false", "'use_sliding_window':true", NO, "use_sliding_window"},
        {FLAT, "'use_sliding_window':false", "'use_sliding_window':0", IN, "use_sliding_window"},
        {NESTED, "['full_attention',", "['sliding_attention',", NO, "layer_types"},
        {FLAT, "'use_sliding_window'", "'quantization_config':{},'use_sliding_window'", NO, "quantization_config"},
        {FLAT, "'type':'mrope'", "'type':'yarn'", NO, "yarn"},
        {NESTED, "'rope_type':'default'", "'rope_type':'dynamic'", NO, "dynamic"},
        {NESTED, "'rope_type'", "'mrope_interleaved':true,'rope_type'", NO, "mrope_interleaved"},
        {FLAT, "'mrope_section':[2,5,5]", "'mrope_section':[2,5,4]", IN, "mrope_section"},
        {FLAT, "'mrope_section':[2,5,5]", "'mrope_section':[6,6]", IN, "mrope_section"},
        {FLAT, "'mrope_section':[2,5,5]", "'mrope_section':[-2,7,7]", IN, "mrope_section"},
        {FLAT, "'mrope_section':[2,5,5]", "'mrope_section':[4294967298,5,5]", IN, "mrope_section"},
        {FLAT, "'rope_scaling':{'type':'mrope','mrope_section':[2,5,5]}", "'rope_scaling':null", IN, "rope_scaling"},
        {FLAT, "'rope_theta':1000000.0", "'rope_theta':0", IN, "rope_theta"},
        {FLAT, "'rope_theta':1000000.0,", "", IN, "rope_theta"},
        {FLAT, "'rope_theta':1000000.0", "'rope_theta':'1e6'", IN, "rope_theta"},
        {FLAT, "'hidden_size':48", "'hidden_size':0", IN, "hidden_size"},
        {FLAT, "'hidden_size':48", "'hidden_size':48.5", IN, "hidden_size"},
        {FLAT, "'hidden_size':48", "'hidden_size':49", IN, "hidden_size"},
        {FLAT, "'hidden_size':48", "'hidden_size':1", IN, "hidden_size"},
        {FLAT, "'hidden_size':48", "'hidden_size':1000000000000", IN, "hidden_size"},
        {FLAT, "'hidden_size':48,", "", IN, "hidden_size"},
        {FLAT, "'num_hidden_layers':5", "'num_hidden_layers':257", IN, "num_hidden_layers"},
        {FLAT, "'num_hidden_layers':5", "'num_hidden_layers':-1", IN, "num_hidden_layers"},
        {FLAT, "'num_key_value_heads':2", "'num_key_value_heads':3", IN, "num_key_value_heads"},
        {FLAT, "'num_attention_heads':2,'num_hidden_layers':5,'num_key_value_heads':2",
         "'num_attention_heads':4,'num_hidden_layers':5,'num_key_value_heads':3", IN, "num_key_value_heads"},
        {FLAT, "'num_key_value_heads':2", "'num_key_value_heads':0", IN, "num_key_value_heads"},
        {NESTED, "'head_dim':24", "'head_dim':23", IN, "head size"},
        {NESTED, "'head_dim':24", "'head_dim':258", IN, "head_dim"},
        {FLAT, "'num_attention_heads':2", "'num_attention_heads':16", IN, "head size"},
        {FLAT, "'vocab_size':1031", "'vocab_size':5000000", IN, "vocab_size"},
        {FLAT, "'vocab_size':1031", "'vocab_size':1012", IN, "image_token_id"},
        {FLAT, "'image_token_id':1012,", "", IN, "image_token_id"},
        {FLAT, "'image_token_id':1012", "'image_token_id':1013", IN, "image_token_id"},
        {FLAT, "'eos_token_id':1002", "'eos_token_id':-1", IN, "eos_token_id"},
        {FLAT, "'eos_token_id':1002", "'eos_token_id':['x']", IN, "eos_token_id"},
        {FLAT, "'rms_norm_eps':1e-06", "'rms_norm_eps':-1e-06", IN, "rms_norm_eps"},
        {FLAT, "'vocab_size':1031", "'vocab_size':1031,'initializer_range':0", IN, "initializer_range"},
        {FLAT, "'rms_norm_eps':1e-06", "'rms_norm_eps':1e-50", IN, "rms_norm_eps"}, /* 0 as a float */
        {FLAT, "'rms_norm_eps':1e-06,", "", IN, "rms_norm_eps"},
        {FLAT, "'tie_word_embeddings':true", "'tie_word_embeddings':1", IN, "tie_word_embeddings"},
        {NESTED, "'hidden_act'", "'tie_word_embeddings':false,'hidden_act'", IN, "tie_word_embeddings"},
        {FLAT, "'vision_config'", "'vision'", IN, "vision_config"},
        {FLAT, "'depth':4,'hidden_act':'silu','hidden_size':32,", "", IN, "embed_dim"},
        {NESTED, "'embed_dim':32", "'embed_dim':32,'hidden_size':48", NO, "embed_dim"},
        {FLAT, "'num_heads':2", "'num_heads':3", IN, "num_heads"},
        {FLAT, "'num_heads':2", "'num_heads':16", IN, "vision head size"},
        {FLAT, "'in_chans':3", "'in_chans':1", NO, "in_chans"},
        {FLAT, "'out_hidden_size':48", "'out_hidden_size':32", IN, "out_hidden_size"},
        {FLAT, "'window_size':112", "'window_size':100", IN, "window_size"},
        {FLAT, "'window_size':112", "'window_size':14", IN, "window_size"},
        {FLAT, "'patch_size':14", "'patch_size':0", IN, "patch_size"},
        {FLAT, "'fullatt_block_indexes':[1,3]", "'fullatt_block_indexes':[1,-3]", IN, "fullatt_block_indexes"},
        {FLAT, "'fullatt_block_indexes':[1,3]", "'fullatt_block_indexes':3", IN, "fullatt_block_indexes"},
        {NESTED, "'text_config':{", "'text_config':7,'x':{", IN, "text_config"},
        {"[]", NULL, NULL, IN, "object"},
        {"{", NULL, NULL, IN, "JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_model_config config;
        struct strata_error err = {0};
        char line[1400];
        int code = parse(&config, cases[i].text, cases[i].from, cases[i].to, &err);
        strata_error_line(&err, line, sizeof line);
        if (code != cases[i].code || !strstr(line, cases[i].part) || !strstr(line, "config.json"))
            fail_msg("%s -> %s: code %d, '%s'", cases[i].from, cases[i].to, code, line);
    }
}

static void writes_what_it_reads(void **state) {
    (void)state;
    struct strata_model_config config, again;
    char *text;
    good(&config, FLAT, "'eos_token_id':1002", "'eos_token_id':[1002,1000]");
    assert_int_equal(strata_model_config_text(&text, &config, "bfloat16", NULL), STRATA_OK);
    assert_non_null(strstr(text, "\"rms_norm_eps\": 1e-6,"));
    assert_non_null(strstr(text, "\"torch_dtype\": \"bfloat16\""));
    assert_int_equal(strata_model_config_parse(&again, text, strlen(text), "written", NULL), STRATA_OK);
    assert_same(&config, &again);
    free(text);
    good(&config, NESTED, "'hidden_size':48", "'hidden_size':50");
    config.text.rope_theta = 1e6 / 3;
    config.initializer_range = 0.1 / 3;
    config.text.rms_eps = 0.1f / 3;
    assert_int_equal(strata_model_config_text(&text, &config, "float32", NULL), STRATA_OK);
    assert_int_equal(strata_model_config_parse(&again, text, strlen(text), "written", NULL), STRATA_OK);
    assert_same(&config, &again);
    free(text);
}

static void reads_golden_models(void **state) {
    (void)state;
    static const struct {
        const char *model;
        bool tied;
        size_t heads, kv_heads, head_size, layers, hidden, depth, vision_hidden, window, vocabulary;
    } models[] = {{"dev-a", true, 2, 2, 24, 5, 48, 4, 32, 112, 1031},
                  {"dev-b", false, 6, 3, 16, 6, 96, 5, 40, 56, 1222},
                  {"dev-c", false, 4, 1, 32, 3, 128, 6, 36, 112, 1024}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct strata_model_config config, again;
        struct strata_error err = {0};
        char path[512], name[64], newer[128];
        snprintf(name, sizeof name, "golden/models/%s", models[i].model);
        if (!shared_path(path, sizeof path, name)) return;
        assert_int_equal(strata_model_config_open(&config, path, &err), STRATA_OK);
        assert_int_equal(config.text.tied, models[i].tied);
        assert_int_equal(config.text.heads, models[i].heads);
        assert_int_equal(config.text.kv_heads, models[i].kv_heads);
        assert_int_equal(config.text.head_size, models[i].head_size);
        assert_int_equal(config.text.layers, models[i].layers);
        assert_int_equal(config.text.hidden, models[i].hidden);
        assert_int_equal(config.text.vocabulary, models[i].vocabulary);
        assert_int_equal(config.vision.depth, models[i].depth);
        assert_int_equal(config.vision.hidden, models[i].vision_hidden);
        assert_int_equal(config.vision.window_size, models[i].window);
        assert_int_equal(config.stop_count, 2);
        assert_true(config.generation_repetition_penalty == 1.05f);
        snprintf(newer, sizeof newer, "%s/config_v5.json", name);
        if (models[i].model[4] == 'c' || !shared_path(path, sizeof path, newer)) continue;
        assert_int_equal(strata_model_config_open(&again, path, &err), STRATA_OK);
        assert_same(&config, &again);
    }
}

static void names_missing_files(void **state) {
    struct strata_model_config config;
    struct strata_error err = {0};
    assert_int_equal(strata_model_config_open(&config, *state, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.where, "config.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_layouts),  cmocka_unit_test(reads_stop_ids),
        cmocka_unit_test(refuses_bad_values),  cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(reads_golden_models), cmocka_unit_test(names_missing_files),
    };
    return cmocka_run_group_tests_name("config", tests, temporary_setup, temporary_teardown);
}
