_base_ = './causal_baseline.py'

# A classifier with a hidden layer, as released, makes the 334.9M parameters of Table 1.
model = dict(
    backbone=dict(type='VisionRWKV', arch='large'),
    head=dict(in_channels=1024, hidden_channels=3072),
)
