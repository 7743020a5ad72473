# DINO on De-focus Mamba, which starts from the classifier of configs/cifar10. README.md says how
# its patches of 4 pixels, in images of 32, become patches of 8 in images of 64.
_base_ = [
    '../digits/dino_defocus-mamba-digits.py',
    '../_base_/datasets/bccd_320x240.py',
]

data_preparation = _base_.bccd_preparation
classes = _base_.bccd_classes
work_dir = 'work_dirs/bccd/detector'
max_epochs = 20

model = dict(
    num_queries=60,
    backbone=dict(
        arch=dict(depth=6),
        img_size=320,
        pretrain_img_size=64,
        init_cfg=dict(checkpoint='work_dirs/bccd/cifar10.pth'),
    ),
    decoder=dict(num_layers=3),
    bbox_head=dict(num_classes=len(classes)),
    dn_cfg=dict(group_cfg=dict(num_dn_queries=60)),
    test_cfg=dict(max_per_img=100),
)

train_dataloader = dict(_delete_=True, **_base_.bccd_train_loader)
val_dataloader = dict(_delete_=True, **_base_.bccd_test_loader)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.bccd_evaluator)
test_evaluator = dict(val_evaluator, outfile_prefix=work_dir + '/predictions')

optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
