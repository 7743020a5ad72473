# The default setting of Table 4: a constant drop path rate of 0.4, the auxiliary loss, and the
# filter with data-dependent decay and learnable rotary embedding.
_base_ = '../../imagenet/defocus-mamba-base_8xb128_in1k.py'

model = dict(backbone=dict(drop_path_rate=0.4))
custom_hooks = [h for h in _base_.custom_hooks if h['type'] != 'DropPathScheduleHook']
