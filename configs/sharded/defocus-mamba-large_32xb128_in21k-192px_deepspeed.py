_base_ = [
    '../imagenet/defocus-mamba-large_32xb128_in21k-192px.py',
    '../_base_/strategies/deepspeed.py',
]

# DeepSpeed casts and clips by itself.
optim_wrapper = dict(
    _delete_=True,
    type='DeepSpeedOptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999)),
)
