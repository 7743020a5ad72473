# DeepSpeed's ZeRO, stage 2: optimizer states and gradients are sharded over all GPUs.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='DeepSpeedStrategy',
    bf16=dict(enabled=True),
    inputs_to_half=['inputs'],  # as the weights are
    gradient_clipping=5.0,
    zero_optimization=dict(stage=2, overlap_comm=True, contiguous_gradients=True),
)
