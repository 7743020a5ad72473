"""What a backbone returns besides plain tensors."""

from typing import NamedTuple

from torch import Tensor


class ClsAndTokens(NamedTuple):
    """What a backbone returns for `out_type='cls_and_tokens'`.

    Attributes:
        cls_token: `(B, C)`; of a backbone without one, the average of the tokens.
        tokens: The image tokens, `(B, L, C)`, in the order of reading, padding included.
    """

    cls_token: Tensor
    tokens: Tensor


class ClsPerStrip(NamedTuple):
    """What a backbone returns for `out_type='cls_per_strip'`.

    Attributes:
        cls_tokens: `(B, S, C)`, after each of S strips that of an image which ends there.
        tokens: The image tokens, `(B, L, C)`, in the order of reading, padding included.
    """

    cls_tokens: Tensor
    tokens: Tensor
