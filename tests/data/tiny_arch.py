"""The smallest De-focus Mamba that the tests train."""

arch = dict(
    embed_dims=16,
    depth=2,
    intermediate_size=32,
    state_size=4,
    time_step_rank=2,
    group_norm_size=16,
)
