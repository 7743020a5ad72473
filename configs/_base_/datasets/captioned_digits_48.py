_base_ = '../loaders.py'

data_preparation = 'python tools/dataset_converters/captioned_digits.py'
classes = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
templates = ('a {}', 'the digit {}', 'a photo of the digit {}', 'a handwritten {}')

train_pipeline = [
    dict(type='DecodeImage'),
    dict(type='TokenizeCaption', context_length=16),
    dict(type='PackPair', with_sample=False),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeToSquare', size=48),
    dict(type='TokenizeCaption', context_length=16),
    dict(type='PackPair'),
]
pairs = dict(data_root='data/captioned_digits')
train_dataloader = dict(
    _base_.pairs_train_loader,
    batch_size=50,
    num_workers=1,
    dataset=dict(
        pairs, type='ImageTextShards', shards='train-{0000..0023}.tar', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    _base_.mini_eval_loader,
    batch_size=100,
    dataset=dict(
        pairs, type='ImageTextPairs', ann_file='val.json', test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='ZeroShotAccuracy', classes=classes, templates=templates),
    dict(type='ImageTextRecall'),
]
test_evaluator = val_evaluator
