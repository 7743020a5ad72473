"""Softmax attention whose logits decay with the distance (Eq. 8 of the paper)."""

from torch import Tensor

from ..arguments import check_flag
from ..heads import check_heads, example_heads
from ..operator import Backend, Operator, like, register, run
from ..triton_support import triton_backend
from .blocks import fused_decayed_attention
from .naive import dense_decayed_attention, naive_decayed_attention

__all__ = ['decayed_attention']


def decayed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    *,
    causal: bool = True,
    backend: str = 'auto',
) -> Tensor:
    """Computes `softmax_s(exp(λ |t - s|) (q_t · k_s) / sqrt(K)) v` with λ = `log_decay`.

    The decay multiplies the logits: it draws those of far tokens to 0, which is a small weight but
    not none. With λ = 0 this is the usual attention. Rotary embedding is the caller's. Logits and
    sums are float32 (float64 for float64 values), under autocast too. Any strides do.

    Args:
        q: Queries, `(B, H, L, K)`, float64, float32, bfloat16 or float16.
        k: Keys, `(B, H, L, K)`.
        v: Values, `(B, H, L, V)`.
        log_decay: λ per head, `(H,)`, negative; 0 is no decay.
        causal: Whether token t attends to tokens s <= t alone, or to all.
        backend: A name of `available_backends()['decayed_attention']`, or 'auto'.

    Returns:
        `(B, H, L, V)` in the dtype of `v`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_heads(q, k, v, log_decay)
    check_flag('causal', causal)
    return run('decayed_attention', backend, q, k, v, log_decay, causal)


def flops(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, causal: bool) -> int:
    """Returns `B H L² (2 (K + V) + 1) + 2 H L` for q, k `(B, H, L, K)` and v `(B, H, L, V)`.

    Products of all pairs (as the counter has it for causal attention too), 1 a pair to apply the
    decay, and 2 a head and distance for the table of it.
    """
    batch, heads, length, keys = q.shape
    pairs = batch * heads * length**2
    return pairs * (2 * (keys + v.shape[-1]) + 1) + 2 * heads * length


register(
    Operator(
        decayed_attention,
        backends={
            'triton': triton_backend('decayed_attention'),
            'fused': Backend(fused_decayed_attention),
            'naive': Backend(naive_decayed_attention),
        },
        exportable=dense_decayed_attention,
        example=example_heads,
        cost=flops,
        empty_output=like(2),
    )
)
