_base_ = './defocus-mamba-base_ablation_8xb128_in1k.py'

model = dict(head=dict(aux_loss_weight=0.0))
custom_hooks = [h for h in _base_.custom_hooks if h['type'] != 'AuxHeadHook']
