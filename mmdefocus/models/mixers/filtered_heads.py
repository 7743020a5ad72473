"""What retention and attention share: heads, each a learnable bandpass filter."""

from torch import Tensor, nn

from ..layers import LearnableDecay, LearnablePairRotary, head_decay_rates


class FilteredHeads(nn.Module):
    """Base of the mixers with a decay λ per head and a rotary embedding of queries and keys.

    Args:
        embed_dims: C, channels of a token, and of all queries and keys of a token.
        num_heads: H, divides C.
        decay: 'learnable', 'fixed' or 'none' (Table 4a).
        rope: 'learnable', 'fixed' or 'none' (Table 4a); pairs channels of a head.
        rope_scale: Divides the positions (Appendix B.2).
        delta_scale: Divides λ (Appendix B.2).

    Raises:
        ValueError: If C does not divide into heads, or a head not into pairs.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        decay: str,
        rope: str,
        rope_scale: float,
        delta_scale: float,
    ) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'num_heads: {num_heads} does not divide embed_dims {embed_dims}')
        head_dims = embed_dims // num_heads
        if head_dims % 2 and rope != 'none':
            raise ValueError(
                'num_heads: a head needs an even number of channels to form the pairs of the '
                f'rotary embedding, got embed_dims / num_heads = {embed_dims} / {num_heads}'
            )
        self.num_heads = num_heads
        self.delta_scale = delta_scale
        self.decay = (
            LearnableDecay(head_decay_rates(num_heads), decay == 'learnable')
            if decay != 'none'
            else None
        )
        self.rope = (
            LearnablePairRotary(num_heads, head_dims // 2, rope_scale, rope == 'learnable')
            if rope != 'none'
            else None
        )

    def reset_filter(self) -> None:
        """Gives the decay and the frequencies their initial values."""
        if self.decay is not None:
            self.decay.reset_rates(head_decay_rates(self.num_heads))
        if self.rope is not None:
            self.rope.reset_frequencies()

    def split_heads(self, x: Tensor) -> Tensor:
        """Turns `(B, L, H * K)` into `(B, H, L, K)`, a view."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def merge_heads(self, x: Tensor) -> Tensor:
        """Turns `(B, H, L, V)` into `(B, L, H * V)`."""
        return x.transpose(1, 2).flatten(2)

    def turn(self, x: Tensor) -> Tensor:
        """Turns queries or keys, `(B, H, L, K)`, by their position."""
        return x if self.rope is None else self.rope(x)

    def log_decay(self, like: Tensor) -> Tensor:
        """Returns λ of each head, `(H,)`, on the device of `like`; 0 without decay."""
        if self.decay is None:
            return like.new_zeros(self.num_heads)
        return self.decay() / self.delta_scale
