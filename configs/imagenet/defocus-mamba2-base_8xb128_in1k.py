# No model of the paper: its recipe and filter on Mamba-2, at the parameters of De-focus Mamba-B.
_base_ = [
    '../_base_/models/defocus_mamba2_base.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e.py',
]
