"""The true linear map of a mixer: the weight that each token has in what another one reads.

Every mixer computes `y_t = Σ_s M[t, s] x_s` for weights M that depend on the tokens: softmax
attention its probabilities, retention its decayed scores, and a selective scan
`Σ_n C_t[n] exp(A[n] Σ_{s<r<=t} Δ_r) Δ_s B_s[n]` in each channel (Eq. 9).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.mixers import AttentionMixer, MambaMixer, RetentionMixer
from ...models.mixers.mamba import ScanInputs


def mixing_matrix(mixer: nn.Module, tokens: Tensor, rows: slice | None = None) -> Tensor:
    """Returns the weights with which a mixer adds up its tokens.

    Args:
        mixer: An `AttentionMixer`, a `RetentionMixer` or a `MambaMixer`.
        tokens: What the mixer reads, `(B, L, C)`: the normalised input of its block.
        rows: Places of the tokens t whose weights are wanted, R of them; None for all. A row alone
            takes memory of a row.

    Returns:
        `(B, G, R, L)` in the dtype of the mixer's sums, where G are the heads, or the D channels of
        a scan. For a scan of u `(B, L, D)`, `M @ u.mT.unsqueeze(-1)` is its output, `(B, D, R, 1)`.

    Raises:
        ValueError: If it is another mixer, or reads in two directions.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device)[rows or slice(None)]
    if isinstance(mixer, (AttentionMixer, RetentionMixer)):
        return _heads(mixer, tokens, places)
    if type(mixer) is MambaMixer:
        u, _ = mixer.in_proj(tokens).chunk(2, dim=-1)
        return scan_matrix(mixer.prepare(u), places)
    raise ValueError(
        'mixer: expected an AttentionMixer, a RetentionMixer or a MambaMixer, '
        f'got {type(mixer).__name__}'
    )


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
        decay = torch.where(seen, torch.exp(A[:, n, None, None] * between), 0.0)
        projections = C[:, places, n, None] * B[:, None, :, n]  # (B, R, L)
        matrix += decay * projections.unsqueeze(1)
    return matrix * steps.unsqueeze(-2)


def _heads(mixer: AttentionMixer | RetentionMixer, tokens: Tensor, places: Tensor) -> Tensor:
    q, k, v, log_decay = mixer.prepare(tokens)
    wide = torch.promote_types(v.dtype, torch.float32)
    distance = places.unsqueeze(-1) - torch.arange(k.shape[2], device=k.device)
    decay = torch.exp(log_decay.to(wide)[:, None, None] * distance.abs())
    scores = decay * (q[:, :, places].to(wide) @ k.to(wide).mT)
    if isinstance(mixer, RetentionMixer):
        return scores.masked_fill(distance < 0, 0.0)
    logits = scores * q.shape[-1] ** -0.5
    if mixer.causal:
        logits = logits.masked_fill(distance < 0, float('-inf'))
    return logits.softmax(-1)
