# The causal baselines of Table 1 have no auxiliary loss. The paper names no drop path for them: 0.1
# is that of DeiT's recipe, which it follows.
_base_ = './classifier.py'

model = dict(backbone=dict(drop_path_rate=0.1), head=dict(aux_loss_weight=0.0))
