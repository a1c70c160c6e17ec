/* AVX-512 without bf16 products. */
#include "kernels/avx512_vectors.inc.h"

#include "kernels/attention_body.inc.h"
#include "kernels/backward_body.inc.h"
#include "kernels/round_body.inc.h"
#include "kernels/rows_body.inc.h"
#include "kernels/tile_body.inc.h"
#include "kernels/update_body.inc.h"
#include "kernels/widen_body.inc.h"

#define LEVEL_SYMBOL     strata_level_avx512
#define LEVEL_NAME       "avx512"
#define TILE_BF16        tile_widen
#define TILE_INT8        tile_int8_widen
#define ACTIVATION_BYTES sizeof(float)
#include "kernels/level_table.inc.h"
