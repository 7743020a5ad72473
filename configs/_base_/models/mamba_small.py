# The causal baselines of Table 1 are the same classes without filter and auxiliary loss. The paper
# names no drop path for them: 0.1 is that of DeiT's recipe, which it follows.
_base_ = './defocus_mamba_small.py'

model = dict(backbone=dict(rope='none', drop_path_rate=0.1), head=dict(aux_loss_weight=0.0))
