# The recipe of the causal baselines of Table 1. A model adds its backbone and its width.
_base_ = [
    './models/causal_baseline.py',
    './datasets/imagenet_224.py',
    './schedules/imagenet_300e_baseline.py',
]
