_base_ = './classifier.py'

# Classifiers with a hidden layer make the 330.1M parameters of Table 1.
model = dict(
    backbone=dict(type='DefocusMamba', arch='large'),
    head=dict(in_channels=1024, hidden_channels=3072),
)
