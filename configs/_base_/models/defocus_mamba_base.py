_base_ = './classifier.py'

model = dict(backbone=dict(type='DefocusMamba', arch='base'), head=dict(in_channels=768))
