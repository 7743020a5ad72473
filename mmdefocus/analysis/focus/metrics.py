"""Over-focus as numbers: how many tokens a map looks at, how evenly, and how far away.

A map holds weights of 0 or more: a receptive field `(..., L)`, a row for each query `(..., Q, L)`.
Every number is one of a row, so the last dimension is reduced, and a row of zeros (the first query
of a causal model looks at nothing before itself) gives NaN, which `torch.nanmean` leaves out.
"""

import torch
from torch import Tensor

AREA_THRESHOLD = 1 - 0.9545  # of the maximum, after Luo et al. (arXiv 1701.04128)


def effective_tokens(map: Tensor) -> Tensor:
    """Returns exp(entropy) of each row: the number of tokens that would share it evenly.

    It is 1 for a row that copies one token and L for a uniform one.

    Args:
        map: `(..., L)`, weights of 0 or more, any floating dtype.

    Returns:
        `(...)`, from 1 to L.

    Raises:
        ValueError: If a weight is negative, or there are none.
    """
    share = _shares(map)
    return torch.special.entr(share).sum(-1).exp()


def top_mass(map: Tensor, share: float) -> Tensor:
    """Returns the part of each row that its largest weights hold.

    It is `share` for a uniform row and 1 for a row that copies one token.

    Args:
        map: `(..., L)`, weights of 0 or more.
        share: How many weights count as the largest, as a part of L in (0, 1]. The last of them
            counts in part, where `share * L` is no whole number.

    Returns:
        `(...)`, from `share` to 1.

    Raises:
        ValueError: If `share` is out of its range, a weight is negative, or there are none.
    """
    if not 0 < share <= 1:
        raise ValueError(f'share: expected a number in (0, 1], got {share}')
    sums = _shares(map).sort(-1, descending=True).values.cumsum(-1)
    sums = torch.cat((torch.zeros_like(sums[..., :1]), sums), dim=-1)
    place = share * map.shape[-1]
    whole = min(int(place), map.shape[-1] - 1)
    return torch.lerp(sums[..., whole], sums[..., whole + 1], place - whole)


def gini(map: Tensor) -> Tensor:
    """Returns the Gini coefficient of each row: 0 for a uniform one, 1 - 1/L for a single token.

    Args:
        map: `(..., L)`, weights of 0 or more.

    Returns:
        `(...)`, from 0 to 1 - 1/L.

    Raises:
        ValueError: If a weight is negative, or there are none.
    """
    share = _shares(map).sort(-1).values
    length = map.shape[-1]
    rank = torch.arange(1, length + 1, device=map.device, dtype=share.dtype)
    return ((2 * rank - length - 1) * share).sum(-1) / length


def mean_distance(map: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
    """Returns how far each query looks on average, weighted by its row.

    Args:
        map: `(..., L, L)`, a row for each of the image tokens in the order of reading; or `(L,)`,
            the row of the CLS token that follows the last of them (without a grid).
        grid: Height and width of the image in patches: distances are Euclidean, in patches, and
            the order of reading is raster. None: distances are those in the sequence, in tokens.

    Returns:
        `(..., L)`, or a number for `(L,)`.

    Raises:
        ValueError: If shape and grid do not fit, or a weight is negative.
    """
    length = map.shape[-1] if map.dim() else 0
    if map.dim() == 1 and grid is None:
        distance = torch.arange(length, 0, -1, device=map.device)
    elif map.dim() < 2 or map.shape[-2] != length:
        raise ValueError(
            f'map: expected (..., L, L), or (L,) where grid is None, got shape {tuple(map.shape)}'
        )
    else:
        distance = _distances(length, grid, map.device)
    share = _shares(map)
    return (share * distance.to(share.dtype)).sum(-1)


def sink_share(map: Tensor) -> Tensor:
    """Returns the part of all weights that goes to the token that gets most of it.

    Args:
        map: `(..., Q, L)`, weights of 0 or more.

    Returns:
        `(...)`, from 1/L to 1: large where all queries look at one token, an attention sink.

    Raises:
        ValueError: If a weight is negative, or there are none.
    """
    return torch.nanmean(_shares(map), dim=-2).amax(-1)


def area(map: Tensor) -> Tensor:
    """Returns the part of the tokens that lies in the effective receptive field of each row.

    Args:
        map: `(..., L)`, weights of 0 or more.

    Returns:
        `(...)`, the share of weights above 4.55 % of the largest, in [0, 1].

    Raises:
        ValueError: If a weight is negative, or there are none.
    """
    share = _shares(map)
    inside = share > AREA_THRESHOLD * share.amax(-1, keepdim=True)
    return inside.to(share.dtype).mean(-1).where(~share.isnan().any(-1), float('nan'))


def outlier_norms(tokens: Tensor, factor: float = 3.0) -> Tensor:
    """Returns the part of the tokens whose norm exceeds the median norm by a factor.

    Args:
        tokens: `(B, L, C)`, features of the image tokens.
        factor: Of the median over L.

    Returns:
        `(B,)`, in [0, 1].
    """
    norms = tokens.norm(dim=-1)
    return (norms > factor * norms.median(-1, keepdim=True).values).to(norms.dtype).mean(-1)


def rank_correlation(first: Tensor, second: Tensor, counted: Tensor) -> Tensor:
    """Returns Spearman's rank correlation of each row of two maps.

    Args:
        first: `(..., L)`, weights of 0 or more.
        second: `(..., L)`, weights of 0 or more.
        counted: `(..., L)`, bool: the entries that are compared.

    Returns:
        `(...)`, from -1 to 1; NaN for a row with less than two different values in either map.
    """
    count = counted.sum(-1, keepdim=True)
    deviations = []
    for map in (first, second):
        ranks = _ranks(map.masked_fill(~counted, -1.0))  # the lowest ranks are not counted
        centre = ranks.masked_fill(~counted, 0.0).sum(-1, keepdim=True) / count
        deviations.append((ranks - centre).masked_fill(~counted, 0.0))
    one, other = deviations
    return (one * other).sum(-1) / (one.square().sum(-1) * other.square().sum(-1)).sqrt()


def _ranks(values: Tensor) -> Tensor:
    """Returns the ranks along the last dimension, equal values sharing theirs, in float64."""
    values = values.contiguous()
    ordered = values.sort(-1).values
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    return (below + not_above + 1).double() / 2


def _distances(length: int, grid: tuple[int, int] | None, device: torch.device) -> Tensor:
    """Returns the distances of all pairs of tokens, `(L, L)`."""
    place = torch.arange(length, device=device)
    if grid is None:
        return (place[:, None] - place).abs()
    height, width = grid
    if height * width != length:
        raise ValueError(f'grid: expected height * width = {length} as in map, got {grid}')
    cells = torch.stack((place // width, place % width), dim=-1).double()
    return torch.cdist(cells, cells)


def _shares(map: Tensor) -> Tensor:
    """Returns the rows of a map divided by their sums, in float32 at least; NaN for zeros."""
    if not map.is_floating_point() or not map.dim() or not map.shape[-1]:
        raise ValueError(
            f'map: expected floating weights (..., L), got {map.dtype} of shape {tuple(map.shape)}'
        )
    if (map < 0).any():
        raise ValueError(f'map: expected weights of 0 or more, got {map.min().item():g}')
    wide = map.to(torch.promote_types(map.dtype, torch.float32))
    return wide / wide.sum(-1, keepdim=True)
