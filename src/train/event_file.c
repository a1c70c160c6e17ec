#include "train/event_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"

uint32_t strata_crc32c(const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* TFRecord's mask: a CRC of data that holds CRCs would be weak. */
static uint32_t masked_crc(const void *bytes, size_t length) {
    uint32_t crc = strata_crc32c(bytes, length);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_little_endian(struct strata_buffer *out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) strata_buffer_byte(out, (unsigned char)(value >> (8 * i)));
}

/* ---- protobuf wire format ---- */

static void put_varint(struct strata_buffer *out, uint64_t value) {
    for (; value > 0x7f; value >>= 7) strata_buffer_byte(out, (unsigned char)(value | 0x80));
    strata_buffer_byte(out, (unsigned char)value);
}

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_key(struct strata_buffer *out, unsigned field, enum wire wire) {
    put_varint(out, field << 3 | (unsigned)wire);
}

static void put_bytes(struct strata_buffer *out, unsigned field, const void *bytes, size_t length) {
    put_key(out, field, WIRE_BYTES);
    put_varint(out, length);
    strata_buffer_append(out, bytes, length);
}

/* Event: wall_time = 1 (double), step = 2 (int64). */
static void put_head(struct strata_buffer *out, int64_t step) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    put_key(out, 1, WIRE_64);
    put_little_endian(out, bits, 8);
    put_key(out, 2, WIRE_VARINT);
    put_varint(out, (uint64_t)step);
}

static int write_record(struct strata_event_file *file, const struct strata_buffer *event, struct strata_error *err) {
    struct strata_buffer record = {0};
    put_little_endian(&record, event->length, 8);
    put_little_endian(&record, masked_crc(record.data, 8), 4);
    strata_buffer_append(&record, event->data, event->length);
    put_little_endian(&record, masked_crc(event->data, event->length), 4);
    int code = event->failed ? strata_buffer_check(event, err) : strata_buffer_check(&record, err);
    if (!code && (fwrite(record.data, 1, record.length, file->stream) != record.length || fflush(file->stream))) {
        strata_fail(err, STRATA_ERR_IO, "cannot write: %s", strerror(errno));
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", file->path);
    }
    strata_buffer_free(&record);
    return code;
}

/* Event.file_version = 3 must be the first record. */
static int write_version(struct strata_event_file *file, struct strata_error *err) {
    struct strata_buffer event = {0};
    put_head(&event, 0);
    put_bytes(&event, 3, "brain.Event:2", 13);
    int code = write_record(file, &event, err);
    strata_buffer_free(&event);
    return code;
}

int strata_event_file_open(struct strata_event_file *out, const char *directory, struct strata_error *err) {
    char name[96];
    *out = (struct strata_event_file){0};
    int code = strata_make_directories(directory, err);
    if (code) return code;
    for (unsigned suffix = 0; !out->stream && suffix < 1000; suffix++) {
        snprintf(name, sizeof name, "events.out.tfevents.%010lld.strata.%ld.%u", (long long)time(NULL), (long)getpid(),
                 suffix);
        free(out->path);
        out->path = strata_path_join(directory, name);
        if (!out->path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        out->stream = fopen(out->path, "wbx");
        if (!out->stream && errno != EEXIST) break;
    }
    if (!out->stream) {
        strata_fail(err, STRATA_ERR_IO, "cannot create: %s", strerror(errno));
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", out->path);
    }
    if (!code) code = write_version(out, err);
    if (code) strata_event_file_close(out);
    return code;
}

/* Event.summary = 5; Summary.value = 1 (repeated); Value.tag = 1, Value.simple_value = 2 (float). */
int strata_event_file_write(struct strata_event_file *file, int64_t step, const char *const *tags, const double *values,
                            size_t count, struct strata_error *err) {
    struct strata_buffer event = {0}, summary = {0}, value = {0};
    for (size_t i = 0; i < count; i++) {
        float number = (float)values[i];
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        strata_buffer_clear(&value);
        put_bytes(&value, 1, tags[i], strlen(tags[i]));
        put_key(&value, 2, WIRE_32);
        put_little_endian(&value, bits, 4);
        put_bytes(&summary, 1, value.data, value.length);
    }
    put_head(&event, step);
    put_bytes(&event, 5, summary.data, summary.length);
    int code = strata_buffer_check(&value, err);
    if (!code) code = strata_buffer_check(&summary, err);
    if (!code) code = write_record(file, &event, err);
    strata_buffer_free(&event);
    strata_buffer_free(&summary);
    strata_buffer_free(&value);
    return code;
}

/* Event.session_log = 7; SessionLog.status = 1, START = 1. */
int strata_event_file_restart(struct strata_event_file *file, int64_t step, struct strata_error *err) {
    struct strata_buffer event = {0};
    put_head(&event, step);
    put_bytes(&event, 7, "\x08\x01", 2);
    int code = write_record(file, &event, err);
    strata_buffer_free(&event);
    return code;
}

void strata_event_file_close(struct strata_event_file *file) {
    if (file->stream) fclose(file->stream);
    free(file->path);
    *file = (struct strata_event_file){0};
}
