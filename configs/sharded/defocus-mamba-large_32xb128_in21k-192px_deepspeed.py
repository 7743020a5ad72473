# DeepSpeed's ZeRO, stage 2: optimizer states and gradients are sharded over all GPUs.
_base_ = '../imagenet/defocus-mamba-large_32xb128_in21k-192px.py'

runner_type = 'FlexibleRunner'
strategy = dict(
    type='DeepSpeedStrategy',
    bf16=dict(enabled=True),
    inputs_to_half=['inputs'],  # as the weights are
    gradient_clipping=5.0,
    zero_optimization=dict(stage=2, overlap_comm=True, contiguous_gradients=True),
)
# DeepSpeed casts and clips by itself.
optim_wrapper = dict(
    _delete_=True,
    type='DeepSpeedOptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999)),
)
