# The causal baseline: no rotary embedding, the loss of CLS alone.
_base_ = [
    '../_base_/models/mamba_mini.py',
    '../_base_/datasets/cifar10_32.py',
    '../_base_/schedules/cifar10_mini.py',
]
