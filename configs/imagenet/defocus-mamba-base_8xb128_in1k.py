_base_ = [
    '../_base_/models/defocus_mamba_base.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_300e.py',
]

# The released base configuration clips at 10.
optim_wrapper = dict(clip_grad=dict(max_norm=10.0))
