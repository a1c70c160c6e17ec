/* Every tuned level's table: LEVEL_SYMBOL and LEVEL_NAME, and what it does for bf16 (TILE_BF16, ACTIVATION_BYTES). */
const struct strata_level LEVEL_SYMBOL = {
    .name = LEVEL_NAME,
    .tile_f32 = tile_f32,
    .tile_widen = tile_widen,
    .tile_bf16 = TILE_BF16,
    .activation_bytes = ACTIVATION_BYTES,
    .round_rows = round_rows,
    .softmax_block = softmax_block,
    .scale_row = scale_row,
    .range_sum = range_sum,
    .rmsnorm_row = rmsnorm_row,
    .swiglu_row = swiglu_row,
    .gelu = gelu,
    .rope_row = rope_row,
    .logsumexp_row = logsumexp_row,
    .spin_f32 = spin_f32,
#ifdef VDP
    .spin_bf16 = spin_bf16,
#endif
};
