"""The miniature with a plain ViT of equal size, which sees all patches at once."""

_base_ = [
    '../_base_/models/clip_mini_vit.py',
    '../_base_/datasets/captioned_digits_48.py',
    '../_base_/schedules/clip_mini_vit.py',
]

work_dir = 'work_dirs/clip/vit'
