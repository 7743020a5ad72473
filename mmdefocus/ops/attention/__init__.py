"""Softmax attention whose logits decay with the distance (Eq. 8 of the paper)."""

from torch import Tensor

from .. import dispatch, gpu
from ..heads import check_heads
from .fused import fused_attention
from .naive import naive_attention

__all__ = ['decayed_attention']

dispatch.register(
    'decayed_attention',
    {
        'triton': dispatch.Backend(
            gpu.lazy(f'{__name__}.triton', 'triton_attention'), gpu.why_not, auto_on='cuda'
        ),
        'fused': dispatch.Backend(fused_attention, dispatch.always),
        'naive': dispatch.Backend(naive_attention, dispatch.always),
    },
)


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
    run = dispatch.select('decayed_attention', backend, q.device)
    return run(q, k, v, log_decay, causal)
