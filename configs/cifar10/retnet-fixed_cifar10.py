# The filter of RetNet itself, as in Table 1: its decay and its rotary embedding are not learned.
_base_ = './retnet_cifar10.py'

model = dict(backbone=dict(decay='fixed', rope='fixed'))
