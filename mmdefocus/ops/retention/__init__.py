"""Retention: linear attention with a decay per head (Eq. 4 of the paper), or per token and head."""

from torch import Tensor

from ..arguments import check_state
from ..heads import check_heads, example_heads
from ..numerics import wide_dtype
from ..operator import Backend, Operator, like, register, run
from ..triton_support import triton_backend
from .chunkwise import CHUNK, chunkwise_retention
from .naive import naive_retention
from .parallel import exportable_retention, parallel_retention
from .state import final_state, read_state

__all__ = ['retention', 'retention_with_state']


def retention(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, *, backend: str = 'auto'
) -> Tensor:
    """Computes `y_t = Σ_{s <= t} exp(λ (t - s)) (q_t · k_s) v_s` with λ = `log_decay` of the head.

    Where every token has a λ of its own, their sum over the tokens after s up to t is in the place
    of `λ (t - s)`: token r keeps `exp(λ_r)` of the state. This is the recurrence of Mamba-2
    (arXiv 2405.21060), with B, C, Δ x and Δ A in the place of k, q, v and λ.

    Rotary embedding and the scale `1 / sqrt(K)` are the caller's: pass q and k rotated and one of
    them scaled. Sums are float32 (float64 for float64 values), under autocast too. Any strides do.

    Args:
        q: Queries, `(B, H, L, K)`, float64, float32, bfloat16 or float16.
        k: Keys, `(B, H, L, K)`. Where all heads share queries and keys, both are `(B, 1, L, K)`.
        v: Values, `(B, H, L, V)`.
        log_decay: λ per head, `(H,)`, or per token and head, `(B, H, L)`. Negative; 0 is no decay.
        backend: A name of `available_backends()['retention']`, or 'auto'.

    Returns:
        `(B, H, L, V)` in the dtype of `v`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    check_heads(q, k, v, log_decay, of_retention=True)
    return run('retention', backend, q, k, v, log_decay)


def retention_with_state(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    initial_state: Tensor | None = None,
    *,
    backend: str = 'auto',
) -> tuple[Tensor, Tensor]:
    """Runs `retention` after tokens that a state sums up, and returns the last state as well.

    The state is `S_t = exp(λ_t) S_{t-1} + k_t v_tᵀ`. See `selective_scan_with_state` for sequences
    in pieces.

    Args:
        q: Queries, `(B, H, L, K)`, or `(B, 1, L, K)`.
        k: Keys, as q.
        v: Values, `(B, H, L, V)`.
        log_decay: λ per head, `(H,)`, or per token and head, `(B, H, L)`. Negative; 0 is no decay.
        initial_state: `(B, H, K, V)`, computed with in float32 (float64 for float64 values); None
            is 0.
        backend: A name of `available_backends()['retention']`, or 'auto'.

    Returns:
        y, `(B, H, L, V)` in the dtype of `v`, and the final state, `(B, H, K, V)` in float32
        (float64 for float64 values).

    Raises:
        ValueError: If shapes, dtypes or devices do not fit, or the backend cannot run.
    """
    y = retention(q, k, v, log_decay, backend=backend)
    check_state(initial_state, (*v.shape[:2], q.shape[3], v.shape[3]), q)
    if initial_state is None:
        return y, final_state(k, v, log_decay, None)
    state = initial_state.to(wide_dtype(v.dtype))
    return read_state(y, q, log_decay, state), final_state(k, v, log_decay, state)


def dense_is_cheaper(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> bool:
    """Tells whether the dense form needs no more multiplications per token than that in chunks.

    L (K + V) of them are dense; chunks take CHUNK (K + V), and 2 K V to write and read the state.
    """
    length, keys, values = q.shape[2], q.shape[3], v.shape[3]
    return length * (keys + values) <= CHUNK * (keys + values) + 2 * keys * values


def flops(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> int:
    """Returns the cheaper of the dense and the chunkwise form, as the operator chooses.

    For q, k `(B, H, L, K)` and v `(B, H, L, V)`: a row of S tokens costs `2 S (K + V)` in products
    and S to apply the decay. It is all L tokens in the dense form; or those of a chunk, where the
    state between chunks adds `4 K V` to read and write it. A table of the decay costs 2 a head and
    distance; with a decay for each token it costs 2 a pair of tokens. Products of queries and keys
    that the heads share count once.
    """
    batch, key_heads, length, keys = q.shape
    heads, values = v.shape[1], v.shape[3]
    of_tokens = log_decay.dim() == 3
    widths = 2 * keys * key_heads + (2 * values + (3 if of_tokens else 1)) * heads
    row = min(length * widths, CHUNK * widths + 4 * keys * values * heads)
    return length * (batch * row + (0 if of_tokens else 2 * heads))


register(
    Operator(
        retention,
        with_state=retention_with_state,
        backends={
            'triton': triton_backend('retention'),
            'parallel': Backend(parallel_retention, suits=dense_is_cheaper),
            'chunkwise': Backend(chunkwise_retention),
            'naive': Backend(naive_retention),
        },
        exportable=exportable_retention,
        example=example_heads,
        cost=flops,
        empty_output=like(2),
    )
)
