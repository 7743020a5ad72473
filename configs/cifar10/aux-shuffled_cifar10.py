# A control: the labels of the auxiliary loss are those of other images of the batch.
_base_ = './mamba-rope-aux_cifar10.py'

model = dict(head=dict(type='ShuffledAuxClsHead'))
