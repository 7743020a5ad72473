"""Functions on tensors: what the backbones compute, with a backend for every machine.

Needs torch only; compiled and GPU backends are loaded on first use.
"""

from .attention import decayed_attention
from .causal_conv1d import causal_conv1d
from .dispatch import available_backends
from .gated_norm import gated_group_rms_norm
from .gated_scan import gated_selective_scan
from .retention import retention
from .rms_norm import rms_norm
from .rotary import apply_rotary
from .selective_scan import selective_scan

__all__ = [
    'apply_rotary',
    'available_backends',
    'causal_conv1d',
    'decayed_attention',
    'gated_group_rms_norm',
    'gated_selective_scan',
    'retention',
    'rms_norm',
    'selective_scan',
]
