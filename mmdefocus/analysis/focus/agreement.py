"""How well the maps of Appendix B.1, which are gradients, agree with what a mixer really does."""

import torch
from torch import Tensor, nn

from .layers import layer_inputs, layers_of, measured
from .metrics import rank_correlation
from .mixing import has_matrix, mixing_map

QUERIES = 64  # of an attention map that are compared, spread evenly over the image
FEWEST_KEYS = 8  # that a query must look at to be compared


def agreement_with_mixer(
    model: nn.Module, images: Tensor, layer: int, attention: Tensor, field: Tensor
) -> dict[str, Tensor]:
    """Compares how the maps of a layer rank the tokens with how its mixer weighs them.

    Both numbers are Spearman's rank correlations with `mixing_map`, the mean magnitude of the true
    weights. The one of the attention map is a mean over queries, each of which ranks all tokens
    that it looks at but itself; the one of the receptive field is that of the CLS token.

    Args:
        model: See `receptive_field`.
        images: `(I, 3, H, W)`.
        layer: From 1.
        attention: What `attention_map` returns for them, `(I, L, L)`.
        field: What `receptive_field` returns, `(I, L)`.

    Returns:
        `attention_agreement` and `field_agreement`, `(I,)` each, from -1 to 1; nothing for a mixer
        whose matrix is not known.
    """
    layers = layers_of(model)
    mixer, norm = layers.mixer_of(layer), layers.norm_of(layer)
    if not has_matrix(mixer):
        return {}
    inputs = layer_inputs(model, images, layer)
    first, last, _ = layers.image.indices(inputs.shape[1])
    cls = range(inputs.shape[1])[layers.cls]
    step = max(1, (last - first) // QUERIES)
    of_maps, of_fields = [], []
    with measured(model), torch.no_grad():
        for tokens, rows, row in zip(inputs.split(1), attention, field, strict=True):
            mixed = norm(tokens)
            true = mixing_map(mixer, mixed, slice(first, last, step))[0, 0, :, first:last]
            of_maps.append(_rows_agree(rows[::step], true, step).nanmean())
            true = mixing_map(mixer, mixed, slice(cls, cls + 1))[0, 0, 0, first:last]
            of_fields.append(rank_correlation(row, true, torch.ones_like(row, dtype=torch.bool)))
    return {
        'attention_agreement': torch.stack(of_maps),
        'field_agreement': torch.stack(of_fields),
    }


def _rows_agree(rows: Tensor, true: Tensor, step: int) -> Tensor:
    """Compares every `step`-th row of an attention map with the true ones, `(Q, L)`."""
    itself = torch.zeros_like(rows, dtype=torch.bool)
    itself[torch.arange(len(rows)), torch.arange(0, rows.shape[1], step)] = True
    seen = ((rows > 0) | (true > 0)) & ~itself
    found = rank_correlation(rows, true, seen)
    return found.masked_fill(seen.sum(-1) < FEWEST_KEYS, float('nan'))
