"""Emoji with a plain ViT of equal size, which sees all patches at once."""

_base_ = [
    '../_base_/models/clip_mini_vit.py',
    '../_base_/datasets/captioned_emoji_48.py',
    '../_base_/schedules/clip_mini.py',
]

work_dir = 'work_dirs/clip/vit-emoji'
# the best of 3e-4, 5e-4 and 1e-3
optim_wrapper = dict(optimizer=dict(lr=5e-4))
train_cfg = dict(max_epochs=3, val_interval=3)
