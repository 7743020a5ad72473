# What the filters, drop path rates and losses of Table 4 are varied from.
_base_ = './mamba-rope_cifar10.py'

model = dict(head=dict(aux_loss_weight=1.0))
custom_hooks = [*_base_.custom_hooks, dict(type='AuxHeadHook')]
