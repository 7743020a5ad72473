# After Vision Mamba-S of Table 1 (26M parameters), with the recipe of the causal baselines.
_base_ = './mamba-small_8xb128_in1k.py'

model = dict(
    backbone=dict(
        type='BidirectionalMamba',
        arch=dict(
            _delete_=True, embed_dims=384, depth=24, intermediate_size=768, time_step_rank=24
        ),
    )
)
