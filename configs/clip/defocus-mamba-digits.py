"""The miniature of CLIP: scenes of one or two digits and their captions."""

_base_ = [
    '../_base_/models/clip_mini.py',
    '../_base_/datasets/captioned_digits_48.py',
    '../_base_/schedules/clip_mini.py',
]

work_dir = 'work_dirs/clip/defocus-mamba'
