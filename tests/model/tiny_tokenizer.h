/* A tokenizer.json with the 256 byte tokens (ids 0..255), the given tokens after them, and what else a test wants. */
#ifndef TESTS_MODEL_TINY_TOKENIZER_H
#define TESTS_MODEL_TINY_TOKENIZER_H

#include "base/buffer.h"
#include "base/utf8.h"
#include "model/tokenizer.h"

#define TINY_PATTERN                                                                                                   \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}"                                    \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define TINY_BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":false}"

struct tiny_tokenizer {
    const char *tokens;   /* ,"ab":256,... : entries after the bytes' */
    const char *merges;   /* inside the list */
    const char *added;    /* inside the list */
    const char *settings; /* members of "model" before vocab: "\"dropout\":0.1," */
    const char *normalizer, *pre_tokenizer, *post_processor, *decoder; /* NULL: the family's */
    const char *extra;                                                 /* members at the top */
    int missing_byte;                                                  /* this byte gets no token; 0: none is missing */
};

/* The byte's symbol, by the definition of the alphabet: printable Latin-1 stands for itself, the rest is numbered. */
static inline void tiny_symbol(struct strata_buffer *out, unsigned byte) {
    int32_t code = 0x100;
    for (unsigned b = 0; b <= byte; b++) {
        bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
        if (b == byte)
            code = printable ? (int32_t)b : code;
        else if (!printable)
            code++;
    }
    strata_utf8_append(out, code);
}

static inline void tiny_json(struct strata_buffer *out, const struct tiny_tokenizer *tiny) {
    const char *or_null[4] = {tiny->normalizer, tiny->pre_tokenizer, tiny->post_processor, tiny->decoder};
    strata_buffer_printf(out, "{\"version\":\"1.0\",%s\"added_tokens\":[%s],\"normalizer\":%s,",
                         tiny->extra ? tiny->extra : "", tiny->added ? tiny->added : "",
                         or_null[0] ? or_null[0] : "{\"type\":\"NFC\"}");
    strata_buffer_printf(out, "\"pre_tokenizer\":%s,",
                         or_null[1] ? or_null[1]
                                    : "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
                                      "\"Regex\":\"" TINY_PATTERN
                                      "\"},\"behavior\":\"Isolated\",\"invert\":false}," TINY_BYTE_LEVEL "]}");
    strata_buffer_printf(out, "\"post_processor\":%s,\"decoder\":%s,", or_null[2] ? or_null[2] : TINY_BYTE_LEVEL,
                         or_null[3] ? or_null[3] : TINY_BYTE_LEVEL);
    strata_buffer_printf(out, "\"model\":{\"type\":\"BPE\",%s\"vocab\":{", tiny->settings ? tiny->settings : "");
    for (unsigned byte = 0; byte < 256; byte++) {
        if (byte > 0 && byte == (unsigned)tiny->missing_byte) continue;
        strata_buffer_text(out, byte ? ",\"" : "\"");
        if (byte == '"' || byte == '\\') strata_buffer_byte(out, '\\');
        tiny_symbol(out, byte);
        strata_buffer_printf(out, "\":%u", byte);
    }
    strata_buffer_printf(out, "%s},\"merges\":[%s]}}", tiny->tokens ? tiny->tokens : "",
                         tiny->merges ? tiny->merges : "");
}

#endif
