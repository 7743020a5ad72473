_base_ = [
    '../_base_/models/deit_small_causal.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e_baseline.py',
]
