_base_ = './classifier.py'

model = dict(backbone=dict(type='DefocusRetNet', arch='base'), head=dict(in_channels=768))
