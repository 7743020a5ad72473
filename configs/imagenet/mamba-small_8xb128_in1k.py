_base_ = [
    '../_base_/models/mamba_small.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e_baseline.py',
]
