_base_ = './classifier.py'

model = dict(backbone=dict(type='DefocusMamba', arch='small'), head=dict(in_channels=384))
