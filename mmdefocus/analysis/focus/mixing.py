"""The true linear map of a mixer: the weight that each token has in what another one reads.

Every mixer computes `y_t = Σ_s M[t, s] x_s` for weights M that depend on the tokens: softmax
attention its probabilities, retention its decayed scores, and a selective scan
`Σ_n C_t[n] exp(A[n] Σ_{s<r<=t} Δ_r) Δ_s B_s[n]` in each channel (Eq. 9).
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.mixers import (
    AttentionMixer,
    BidirectionalMambaMixer,
    Mamba2Mixer,
    MambaMixer,
    RetentionMixer,
)
from ...models.mixers.mamba import ScanInputs
from ...ops.retention.decays import sums_of

MIXERS = (AttentionMixer, BidirectionalMambaMixer, Mamba2Mixer, MambaMixer, RetentionMixer)
ENTRIES_AT_ONCE = 1 << 24  # of a matrix, heads or channels included


def mixing_matrix(mixer: nn.Module, tokens: Tensor, rows: slice | None = None) -> Tensor:
    """Returns the weights with which a mixer adds up its tokens.

    Args:
        mixer: An `AttentionMixer`, a `RetentionMixer`, a `Mamba2Mixer`, a `MambaMixer`, a
            `BidirectionalMambaMixer`, or the `MultiheadAttention` of MMPretrain's
            `VisionTransformer`.
        tokens: What the mixer reads, `(B, L, C)`: the normalised input of its block.
        rows: Places of the tokens t whose weights are wanted, R of them; None for all. A row alone
            takes memory of a row.

    Returns:
        `(B, G, R, L)` in the dtype of the mixer's sums, where G are the heads, or the D channels of
        a scan. For a scan of u `(B, L, D)`, `M @ u.mT.unsqueeze(-1)` is its output, `(B, D, R, 1)`.
        Two directions have 2 D channels, those of the scan from the first token to the last first.

    Raises:
        ValueError: If it is another mixer.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device)[rows or slice(None)]
    if not has_matrix(mixer):
        raise ValueError(
            'mixer: expected a mixer of mmdefocus or the MultiheadAttention of mmpretrain, '
            f'got {type(mixer).__name__}'
        )
    if isinstance(mixer, (AttentionMixer, Mamba2Mixer, RetentionMixer)):
        return _heads(mixer, tokens, places)
    if isinstance(mixer, BidirectionalMambaMixer):
        return _both_directions(mixer, tokens, places)
    if isinstance(mixer, MambaMixer):
        return scan_matrix(scans_of(mixer, tokens)[0], places)
    return _mmpretrain_heads(mixer, tokens, places)


def has_matrix(mixer: nn.Module) -> bool:
    """Tells whether `mixing_matrix` knows a mixer; what inherits from one may mix otherwise."""
    # the class of MMPretrain goes by its name, since MMPretrain need not be installed
    if type(mixer).__name__ == 'MultiheadAttention':
        return hasattr(mixer, 'qkv')
    return type(mixer) in MIXERS and getattr(mixer, 'state_size', 1) > 0


@torch.no_grad()
def mixing_map(
    mixer: nn.Module, tokens: Tensor, rows: slice | None = None, groups: int = 1
) -> Tensor:
    """Returns the magnitudes of a mixing matrix, means over its heads or channels.

    Args:
        mixer: See `mixing_matrix`.
        tokens: What the mixer reads, `(B, L, C)`.
        rows: Places of R tokens, see `mixing_matrix`; the rows are made a few at a time.
        groups: Neighbouring heads or channels are averaged in this many groups; divides their
            number. In Mamba the time steps, and so the bandwidths, rise with the channel.

    Returns:
        `(B, groups, R, L)`, 0 or more.

    Raises:
        ValueError: If `groups` does not divide the heads or channels, or see `mixing_matrix`.
    """
    length = tokens.shape[1]
    places = range(length)[rows or slice(None)]
    channels = mixing_matrix(mixer, tokens, slice(0, 1)).shape[1]
    if groups < 1 or channels % groups:
        raise ValueError(f'groups: expected a divisor of {channels}, got {groups}')
    at_once = max(1, ENTRIES_AT_ONCE // (len(tokens) * channels * length))
    parts = []
    for start in range(0, len(places), at_once):
        part = places[start : start + at_once]
        matrix = mixing_matrix(mixer, tokens, slice(part[0], part[-1] + 1, part.step))
        parts.append(matrix.abs().unflatten(1, (groups, -1)).mean(2))
    return torch.cat(parts, dim=2)


def scan_matrix(inputs: ScanInputs, places: Tensor) -> Tensor:
    """Returns the rows of the matrix of a selective scan, `(B, D, R, L)`, at R places."""
    wide = torch.promote_types(inputs.u.dtype, torch.float32)
    delta, A, B, C = (x.to(wide) for x in (inputs.delta, inputs.A, inputs.B, inputs.C))
    if inputs.delta_bias is not None:
        delta = delta + inputs.delta_bias.to(wide)
    if inputs.delta_softplus:
        delta = F.softplus(delta)
    steps = delta.mT  # (B, D, L)
    sums = steps.cumsum(-1)
    between = sums[..., places].unsqueeze(-1) - sums.unsqueeze(-2)  # (B, D, R, L)
    seen = places.unsqueeze(-1) >= torch.arange(steps.shape[-1], device=places.device)
    between = between.masked_fill(~seen, 0.0)  # no exponent is positive
    matrix = torch.zeros_like(between)
    for n in range(A.shape[1]):  # a (B, D, R, L, N) tensor would not fit
        projections = (C[:, places, n, None] * B[:, None, :, n]).masked_fill(~seen, 0.0)
        decay = torch.exp(A[:, n, None, None] * between)
        matrix = torch.addcmul(matrix, decay, projections.unsqueeze(1))  # (B, R, L) in each channel
    return matrix * steps.unsqueeze(-2)


def _mmpretrain_heads(mixer: nn.Module, tokens: Tensor, places: Tensor) -> Tensor:
    heads = cast(int, mixer.num_heads)
    q, k, _ = mixer.get_submodule('qkv')(tokens).unflatten(-1, (3, heads, -1)).unbind(2)
    scores = torch.einsum('brhk,blhk->bhrl', q[:, places], k)
    return (scores * q.shape[-1] ** -0.5).softmax(-1)


def scans_of(mixer: MambaMixer, tokens: Tensor) -> list[ScanInputs]:
    """Returns the inputs of the scans of a mixer, in the order in which each reads the tokens.

    Args:
        mixer: A `MambaMixer`, which has one, or a `BidirectionalMambaMixer`, which has two.
        tokens: What it reads, `(B, L, C)`, CLS last.
    """
    if not isinstance(mixer, BidirectionalMambaMixer):
        u, _ = mixer.in_proj(tokens).chunk(2, dim=-1)
        return [mixer.prepare(u)]
    order = _cls_in_the_middle(tokens)
    u, _ = mixer.in_proj(tokens[:, order]).chunk(2, dim=-1)
    return [mixer.prepare(u), mixer.reverse.prepare(u.flip(1))]


def _cls_in_the_middle(tokens: Tensor) -> Tensor:
    place = torch.arange(tokens.shape[1], device=tokens.device)
    middle = len(place) // 2
    return torch.cat((place[:middle], place[-1:], place[middle:-1]))


def _both_directions(mixer: BidirectionalMambaMixer, tokens: Tensor, places: Tensor) -> Tensor:
    read_at = _cls_in_the_middle(tokens).argsort()  # of each token
    forth, back = scans_of(mixer, tokens)
    rows = scan_matrix(forth, read_at[places])
    rows_back = scan_matrix(back, len(read_at) - 1 - read_at[places]).flip(-1)
    return torch.cat((rows[..., read_at], rows_back[..., read_at]), dim=1)


def _heads(
    mixer: AttentionMixer | Mamba2Mixer | RetentionMixer, tokens: Tensor, places: Tensor
) -> Tensor:
    q, k, v, log_decay = mixer.prepare(tokens)
    wide = torch.promote_types(v.dtype, torch.float32)
    distance = places.unsqueeze(-1) - torch.arange(k.shape[2], device=k.device)
    if log_decay.dim() == 3:  # of each token
        sums = sums_of(log_decay)
        between = sums[..., places].unsqueeze(-1) - sums.unsqueeze(-2)
        exponent = between.masked_fill(distance < 0, 0.0).to(wide)
    else:
        exponent = log_decay.to(wide)[:, None, None] * distance.abs()
    scores = torch.exp(exponent) * (q[:, :, places].to(wide) @ k.to(wide).mT)
    if not isinstance(mixer, AttentionMixer):
        return scores.masked_fill(distance < 0, 0.0)
    logits = scores * q.shape[-1] ** -0.5
    if mixer.causal:
        logits = logits.masked_fill(distance < 0, float('-inf'))
    return logits.softmax(-1)
