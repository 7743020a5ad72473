_base_ = './mamba-rope_cifar10.py'

model = dict(
    head=dict(
        _delete_=True,
        type='AverageClsHead',
        num_classes=10,
        in_channels=128,
        loss={{_base_.model.head.loss}},
    )
)
