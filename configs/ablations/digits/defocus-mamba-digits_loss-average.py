_base_ = './defocus-mamba-digits_ablation.py'

model = dict(head=dict(type='AverageClsHead'))
custom_hooks = [h for h in _base_.custom_hooks if h['type'] != 'AuxHeadHook']
