/* Private to Parquet: its compression codecs. zlib and libzstd do theirs; Snappy and LZ4 blocks, which are two dozen
 * lines to unpack, are done here (sources: the Snappy format description, the LZ4 block format description). */
#ifndef STRATA_DATA_PARQUET_CODEC_H
#define STRATA_DATA_PARQUET_CODEC_H

#include "base/buffer.h"
#include "data/parquet_format.h"

/* Appends exactly `size` bytes, unpacked from packed[0..length). STRATA_ERR_IO when they are not that. */
int strata_parquet_unpack(struct strata_buffer *out, size_t size, enum strata_parquet_codec codec,
                          const unsigned char *packed, size_t length, struct strata_error *err);
/* Appends bytes[0..length) as zstd. */
int strata_parquet_pack(struct strata_buffer *out, const void *bytes, size_t length, struct strata_error *err);

#endif
