_base_ = './defocus_mamba_base.py'

# Classifiers with a hidden layer make the 330.1M parameters of Table 1.
model = dict(backbone=dict(arch='large'), head=dict(in_channels=1024, hidden_channels=3072))
