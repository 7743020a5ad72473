# The row of Table 2 that the paper quotes from DINO: mmdet's configuration.
_base_ = ['mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/mmdefocus.py']

data_preparation = (
    'Put COCO 2017 under data/coco as train2017/, val2017/ and annotations/; '
    'docs/data.md says where to get it.'
)
train_dataloader = dict(persistent_workers=False, dataset=dict(type='CocoByName'))
val_dataloader = dict(dataset=dict(type='CocoByName'))
test_dataloader = dict(dataset=dict(type='CocoByName'))
val_evaluator = dict(type='CocoMetricByName')
test_evaluator = dict(type='CocoMetricByName')
