"""What retention and attention share: heads, each a learnable bandpass filter."""

from typing import NamedTuple

from torch import Tensor

from mmdefocus.utils.checks import check_divides

from ..layers import Filter, Mixer, head_decay_rates, pair_frequencies


class HeadInputs(NamedTuple):
    """Inputs of `mmdefocus.ops.retention` and `decayed_attention`.

    Attributes:
        q: Queries, turned by their positions, `(B, H, L, K)`; in Mamba-2 `(B, 1, L, K)`.
        k: Keys, turned by their positions, likewise.
        v: Values, `(B, H, L, V)`.
        log_decay: λ of each head, `(H,)`; 0 without decay. In Mamba-2 of each token, `(B, H, L)`.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    log_decay: Tensor


class FilteredHeads(Mixer):
    """Base of the mixers with a decay λ per head and a rotary embedding of queries and keys.

    Args:
        embed_dims: C, channels of a token, and of all queries and keys of a token.
        num_heads: H, divides C.
        filter: The decay per head, and the rotary embedding of pairs of channels.

    Raises:
        ValueError: If C does not divide into heads, or a head not into pairs.
    """

    decays = ('learnable', 'fixed', 'none')

    def __init__(self, embed_dims: int, num_heads: int, filter: Filter) -> None:
        super().__init__(filter)
        check_divides('num_heads', num_heads, 'embed_dims', embed_dims)
        head_dims = embed_dims // num_heads
        filter.check_pairs(f'embed_dims {embed_dims} / num_heads {num_heads}', head_dims)
        self.num_heads = num_heads
        self.delta_scale = filter.delta_scale
        self.decay = filter.make_decay(head_decay_rates(num_heads))
        freqs = pair_frequencies(head_dims // 2).expand(num_heads, -1)
        self.rope = filter.make_rotary(freqs, paired=True)

    def reset_filter(self) -> None:
        """Gives the decay and the frequencies their initial values."""
        if self.decay is not None:
            self.decay.reset_rates(head_decay_rates(self.num_heads))
        if self.rope is not None:
            self.rope.reset_frequencies(pair_frequencies(self.rope.freq.shape[-1]))

    def filter_heads(
        self, q: Tensor, k: Tensor, v: Tensor, first: Tensor | None = None
    ) -> HeadInputs:
        """Splits `(B, L, H * K)` and `(B, L, H * V)` into heads and turns queries and keys.

        The position of the first token is `first`, `()`, or 0.
        """
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        if self.rope is not None:
            q, k = self.rope(q, first), self.rope(k, first)
        return HeadInputs(q, k, v, self.log_decay(q))

    def merge_heads(self, x: Tensor) -> Tensor:
        """Turns `(B, H, L, V)` into `(B, L, H * V)`."""
        return x.transpose(1, 2).flatten(2)

    def log_decay(self, like: Tensor) -> Tensor:
        """Returns λ of each head, `(H,)`, on the device of `like`; 0 without decay."""
        if self.decay is None:
            return like.new_zeros(self.num_heads)
        return self.decay() / self.delta_scale
