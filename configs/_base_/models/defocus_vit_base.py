_base_ = './classifier.py'

model = dict(backbone=dict(type='DefocusViT', arch='base'), head=dict(in_channels=768))
