"""A control: the labels of the auxiliary loss are those of other images of the batch."""

_base_ = './defocus-mamba-digits_ablation.py'

model = dict(head=dict(type='ShuffledAuxClsHead'))
