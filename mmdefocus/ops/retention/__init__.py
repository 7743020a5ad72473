"""Retention: linear attention with a decay per head (Eq. 4 of the paper)."""

from torch import Tensor

from .. import dispatch, gpu
from ..heads import check_heads
from .chunkwise import CHUNK, chunkwise_retention
from .naive import naive_retention
from .parallel import parallel_retention

__all__ = ['retention']

dispatch.register(
    'retention',
    {
        'triton': dispatch.Backend(
            gpu.lazy(f'{__name__}.triton', 'triton_retention'), gpu.why_not, auto_on='cuda'
        ),
        'chunkwise': dispatch.Backend(chunkwise_retention, dispatch.always),
        'parallel': dispatch.Backend(parallel_retention, dispatch.always),
        'naive': dispatch.Backend(naive_retention, dispatch.always),
    },
)


def retention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, *, backend: str = 'auto'
) -> Tensor:
    """Computes `y_t = Σ_{s <= t} exp(λ (t - s)) (q_t · k_s) v_s` with λ = `log_decay` of the head.

    Rotary embedding and the scale `1 / sqrt(K)` are the caller's: pass q and k rotated and one of
    them scaled. Sums are float32 (float64 for float64 values), under autocast too. Any strides do.

    Args:
        q: Queries, `(B, H, L, K)`, float64, float32, bfloat16 or float16.
        k: Keys, `(B, H, L, K)`.
        v: Values, `(B, H, L, V)`.
        log_decay: λ per head, `(H,)`, negative; 0 is no decay.
        backend: A name of `available_backends()['retention']`, or 'auto'.

    Returns:
        `(B, H, L, V)` in the dtype of `v`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_heads(q, k, v, log_decay)
    prefer = _fewest_products(q.shape[2], q.shape[3], v.shape[3])
    return dispatch.select('retention', backend, q.device, prefer)(q, k, v, log_decay)


def _fewest_products(length: int, key_width: int, value_width: int) -> str:
    """Names the backend with fewer multiplications per token.

    L (K + V) of them are dense; chunks take CHUNK (K + V), and 2 K V to write and read the state.
    """
    widths = key_width + value_width
    dense, chunks = length * widths, CHUNK * widths + 2 * key_width * value_width
    return 'parallel' if dense <= chunks else 'chunkwise'
