"""What the classifiers of handwritten digits share: the model, how it learns and is judged."""

_base_ = ['./default_runtime.py', './loaders.py']

default_scope = 'mmpretrain'
data_preparation = 'python tools/dataset_converters/digits.py'
classes = tuple('0123456789')  # the folders of the images

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=10, mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
    backbone=dict(
        type='DefocusMamba',
        arch=dict(embed_dims=128, depth=4, intermediate_size=256, time_step_rank=8),
        out_type='cls_and_tokens',
    ),
    head=dict(type='DefocusClsHead', num_classes=10, in_channels=128),
)

train_dataloader = dict(_base_.train_loader, batch_size=25)
val_dataloader = dict(_base_.mini_eval_loader, batch_size=100)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
)
val_cfg = {}
test_cfg = {}
