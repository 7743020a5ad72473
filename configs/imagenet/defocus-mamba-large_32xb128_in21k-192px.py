_base_ = [
    '../_base_/models/defocus_mamba_large.py',
    '../_base_/datasets/imagenet21k_192.py',
    '../_base_/schedules/imagenet21k_90e.py',
]

model = dict(backbone=dict(img_size=192), head=dict(num_classes=_base_.num_classes))
