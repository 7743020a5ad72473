"""Emoji with a plain ViT of equal size, which sees all patches at once."""

_base_ = [
    '../_base_/models/clip_mini_vit.py',
    '../_base_/datasets/captioned_emoji_48.py',
    '../_base_/schedules/clip_mini_vit.py',
]

train_cfg = dict(max_epochs=2, val_interval=2)
work_dir = 'work_dirs/clip/vit-emoji'
