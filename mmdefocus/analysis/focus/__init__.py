"""Where a model looks: maps after Appendix B.1 of the paper, and numbers for them."""

from .filters import Filters, filters_of, response
from .layers import on_grid
from .maps import attention_map, gradient_map, receptive_field
from .metrics import (
    area,
    effective_tokens,
    gini,
    mean_distance,
    outlier_norms,
    rank_correlation,
    sink_share,
    top_mass,
)
from .mixing import mixing_map, mixing_matrix

__all__ = [
    'Filters',
    'area',
    'attention_map',
    'effective_tokens',
    'filters_of',
    'gini',
    'gradient_map',
    'mean_distance',
    'mixing_map',
    'mixing_matrix',
    'on_grid',
    'outlier_norms',
    'rank_correlation',
    'receptive_field',
    'response',
    'sink_share',
    'top_mass',
]
