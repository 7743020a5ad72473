"""What retention and decayed attention ask of their arguments."""

from torch import Tensor


def check_heads(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> None:
    """Checks q, k `(B, H, L, K)`, v `(B, H, L, V)` and log_decay `(H,)`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit.
    """
    if q.dim() != 4:
        raise ValueError(f'q: expected (B, H, L, K), got shape {tuple(q.shape)}')
    batch, heads, length, _ = q.shape
    if k.shape != q.shape:
        raise ValueError(
            f'k: expected the shape of q, {tuple(q.shape)}, got shape {tuple(k.shape)}'
        )
    if v.dim() != 4 or v.shape[:3] != q.shape[:3]:
        raise ValueError(
            f'v: expected ({batch}, {heads}, {length}, V) for q {tuple(q.shape)}, '
            f'got shape {tuple(v.shape)}'
        )
    if log_decay.shape != q.shape[1:2]:
        raise ValueError(
            f'log_decay: expected ({heads},), one per head of q {tuple(q.shape)}, '
            f'got shape {tuple(log_decay.shape)}'
        )
    for name, tensor in (('q', q), ('k', k), ('v', v), ('log_decay', log_decay)):
        if not tensor.is_floating_point():
            raise ValueError(f'{name}: expected a floating dtype, got {tensor.dtype}')
        if tensor.device != q.device:
            raise ValueError(f'{name}: is on {tensor.device}, but q is on {q.device}')
