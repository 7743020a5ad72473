_base_ = './defocus-mamba-digits_ablation.py'

model = dict(head=dict(aux_loss_weight=0.0))
custom_hooks = [h for h in _base_.custom_hooks if h['type'] != 'AuxHeadHook']
