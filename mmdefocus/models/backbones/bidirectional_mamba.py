"""The non-causal baseline with state spaces, after Vision Mamba (arXiv 2401.09417)."""

from mmdefocus.registry import MODELS

from ..mixers import BidirectionalMambaMixer
from .defocus_mamba import DefocusMamba


@MODELS.register_module()
class BidirectionalMamba(DefocusMamba):
    """`DefocusMamba` with a second scan in every block, from the last patch to the first.

    The peer of Vision Mamba-S in Table 1 (26M parameters) is 'small' with `time_step_rank=24` and
    `rope='none'`. Both have two scans and read the CLS token in the middle; this one keeps the
    group RMS normalisation of the released De-focus mixer and has no position embedding, as all
    our Mamba models. Arguments are those of `DefocusMamba`.
    """

    mixer = BidirectionalMambaMixer
