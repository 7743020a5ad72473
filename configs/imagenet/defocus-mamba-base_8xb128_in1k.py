_base_ = [
    '../_base_/models/defocus_mamba_base.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e.py',
]
