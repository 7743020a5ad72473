"""Mamba-ND, whose layers read the image in alternating directions (arXiv 2402.05892)."""

from mmdefocus.registry import MODELS

from ..mixers import DirectedMambaMixer
from .defocus_mamba import DefocusMamba


@MODELS.register_module()
class MambaND(DefocusMamba):
    """`DefocusMamba` whose layers read along the rows and columns, to and fro: H+, H-, W+, W-, ….

    The peer Mamba-ND-Small in Table 1 (24M parameters) is 'small' with `rope='none'`; the causal
    one is `DefocusMamba` with the same sizes, which reads H+ in every layer. There is no CLS token,
    and the time steps have the usual rank C / 16, 24 in 'small', both as in Mamba-ND. This one
    keeps the group RMS normalisation of the released De-focus mixer and has no position embedding,
    as all our Mamba models, which makes 0.7 % fewer parameters than printed. The released code of
    Mamba-ND has patches of 8 pixels, merged in the middle; ours have 16, as the other rows.
    Arguments are those of `DefocusMamba`.
    """

    mixer = DirectedMambaMixer
    arch_defaults = {**DefocusMamba.arch_defaults, 'time_step_rank': 24}
    has_cls_token = False
