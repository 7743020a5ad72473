_base_ = './captioned_digits_48.py'

data_preparation = 'python tools/dataset_converters/captioned_emoji.py'
classes = 'data/captioned_emoji/classes.txt'  # one a line
templates = ('{}', 'an emoji of a {}', 'a drawing of a {}', 'a picture of a {}')

train_dataloader = dict(
    dataset=dict(data_root='data/captioned_emoji', shards='train-{0000..0008}.tar')
)
val_dataloader = dict(
    dataset=dict(data_root='data/captioned_emoji', metainfo=dict(classes=classes))
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='ZeroShotAccuracy', templates=templates, topk=(1, 5)),
    dict(type='ImageTextRecall'),
]
test_evaluator = val_evaluator
