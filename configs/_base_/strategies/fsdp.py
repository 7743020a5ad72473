# Parameters, gradients and optimizer states are sharded, block by block, over all GPUs.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='DefocusFSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', use_orig_params=True, auto_wrap_policy='wrap_blocks'
    ),
    # One file, which every tool reads.
    state_dict_cfg='full',
)
