_base_ = './classifier.py'

model = dict(backbone=dict(type='DefocusMamba2', arch='base'), head=dict(in_channels=768))
