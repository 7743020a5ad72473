"""Emoji and their names; those of the test are never shown or named in training."""

_base_ = [
    '../_base_/models/clip_mini.py',
    '../_base_/datasets/captioned_emoji_48.py',
    '../_base_/schedules/clip_mini.py',
]

work_dir = 'work_dirs/clip/defocus-mamba-emoji'
train_cfg = dict(max_epochs=2, val_interval=2)
