"""Functions on tensors: what the backbones compute, with a backend for every machine.

Needs torch only; compiled and GPU backends are loaded on first use. Each operator is a folder, and
a line here.
"""

from .apply_rotary import apply_rotary as apply_rotary
from .bi_wkv import bi_wkv as bi_wkv
from .causal_conv1d import causal_conv1d as causal_conv1d
from .causal_conv1d import causal_conv1d_with_state as causal_conv1d_with_state
from .decayed_attention import decayed_attention as decayed_attention
from .gated_group_rms_norm import gated_group_rms_norm as gated_group_rms_norm
from .gated_selective_scan import gated_selective_scan as gated_selective_scan
from .gated_selective_scan import gated_selective_scan_with_state as gated_selective_scan_with_state
from .ms_deform_attn import ms_deform_attn as ms_deform_attn
from .operator import available_backends as available_backends
from .operator import exportable as exportable
from .operator import operators as operators
from .operator import replaced as replaced
from .retention import retention as retention
from .retention import retention_with_state as retention_with_state
from .rms_norm import rms_norm as rms_norm
from .selective_scan import selective_scan as selective_scan
from .selective_scan import selective_scan_with_state as selective_scan_with_state
