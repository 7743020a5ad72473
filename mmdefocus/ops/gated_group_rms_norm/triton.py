"""The epilogue in Triton for GPUs, one pass over memory each way (traffic in README.md)."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..custom_operator import custom_operator
from ..numerics import empty_contiguous, wide_dtype
from ..triton_support import cdiv

ELEMENTS = 2048  # in a program: tokens times the channels of one group


def triton_gated_group_rms_norm(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float
) -> Tensor:
    """See `gated_group_rms_norm`."""
    dtype = wide_dtype(u.dtype)
    return _norm(y, u, D.to(dtype).contiguous(), z, group_size, eps)


@triton.jit
def places(tokens, L, group_size, BLOCK_T: tl.constexpr, BLOCK_G: tl.constexpr):
    """Returns image, token and channel of the numbers of a program, and which of them there are."""
    token = tl.program_id(0).to(tl.int64) * BLOCK_T + tl.arange(0, BLOCK_T)[:, None]
    member = tl.arange(0, BLOCK_G)[None, :]
    in_group = member < group_size
    d = tl.program_id(1) * group_size + member
    return token // L, token % L, d, (token < tokens) & in_group, in_group


@triton.jit
def load(x, b, t, d, x_b, x_l, x_d, inside, wide: tl.constexpr):
    """Loads some channels of some tokens, `(T, G)`, zeros where there are none."""
    return tl.load(x + b * x_b + t * x_l + d * x_d, inside, 0).to(wide)


@triton.jit
def forward(
    y, u, D, z, out,
    tokens, L, group_size,
    y_b, y_l, y_d, u_b, u_l, u_d, z_b, z_l, z_d, out_b, out_l, out_d,
    EPS: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_G: tl.constexpr,
):  # fmt: skip
    """A group of channels of a block of tokens; the sums are in the dtype of `D`."""
    wide = D.dtype.element_ty
    b, t, d, inside, in_group = places(tokens, L, group_size, BLOCK_T, BLOCK_G)
    skip = tl.load(D + d, in_group, 0)
    y_t = load(y, b, t, d, y_b, y_l, y_d, inside, wide)
    u_t = load(u, b, t, d, u_b, u_l, u_d, inside, wide)
    normed = y_t * tl.rsqrt(tl.sum(y_t * y_t, 1, keep_dims=True) / group_size + EPS)
    z_t = load(z, b, t, d, z_b, z_l, z_d, inside, wide)
    result = (normed + u_t * skip) * (z_t * tl.sigmoid(z_t))
    tl.store(out + b * out_b + t * out_l + d * out_d, result, inside)


@triton.jit
def backward(
    y, u, D, z, dout, dy, du, dz, dD,
    tokens, L, group_size,
    y_b, y_l, y_d, u_b, u_l, u_d, z_b, z_l, z_d, dout_b, dout_l, dout_d,
    out_b, out_l, out_d,
    EPS: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_G: tl.constexpr,
):  # fmt: skip
    """As the forward; dy, du and dz share their strides, dD `(blocks of tokens, D)` is partial."""
    wide = D.dtype.element_ty
    b, t, d, inside, in_group = places(tokens, L, group_size, BLOCK_T, BLOCK_G)
    y_t = load(y, b, t, d, y_b, y_l, y_d, inside, wide)
    u_t = load(u, b, t, d, u_b, u_l, u_d, inside, wide)
    z_t = load(z, b, t, d, z_b, z_l, z_d, inside, wide)
    dout_t = load(dout, b, t, d, dout_b, dout_l, dout_d, inside, wide)
    skip = tl.load(D + d, in_group, 0)

    scale = tl.rsqrt(tl.sum(y_t * y_t, 1, keep_dims=True) / group_size + EPS)
    normed = y_t * scale
    sigmoid = tl.sigmoid(z_t)
    dsum = dout_t * z_t * sigmoid
    dgate = dout_t * (normed + u_t * skip)
    along = tl.sum(dsum * normed, 1, keep_dims=True) / group_size

    place = b * out_b + t * out_l + d * out_d
    tl.store(dy + place, scale * (dsum - normed * along), inside)
    tl.store(du + place, dsum * skip, inside)
    tl.store(dz + place, dgate * sigmoid * (1 + z_t * (1 - sigmoid)), inside)
    partial = tl.sum(dsum * u_t, 0, keep_dims=True)
    channels = tl.num_programs(1) * group_size
    tl.store(dD + tl.program_id(0) * channels + d, partial, in_group)


def _outputs(y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float) -> Tensor:
    return empty_contiguous(u)


def epilogue(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float, out: Tensor
) -> Tensor:
    """Fills in the output, `(B, L, D)`, whose memory may be that of y, and returns it."""
    blocks, tile = _blocks(y, group_size)
    with torch.cuda.device_of(y):
        forward[blocks, y.shape[2] // group_size](
            *(y, u, D, z, out, y.shape[0] * y.shape[1], y.shape[1], group_size),
            *(s for x in (y, u, z, out) for s in x.stride()),
            EPS=eps,  # a number that is passed would be float32
            **tile,
        )
    return out


def epilogue_gradients(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float, dout: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of y, u, D and z; all but that of D are `(B, L, D)`, contiguous."""
    dy, du, dz = (empty_contiguous(x) for x in (y, u, z))
    blocks, tile = _blocks(y, group_size)
    dD = D.new_empty(blocks, *D.shape)
    with torch.cuda.device_of(y):
        backward[blocks, y.shape[2] // group_size](
            *(y, u, D, z, dout, dy, du, dz, dD),
            *(y.shape[0] * y.shape[1], y.shape[1], group_size),
            *(s for x in (y, u, z, dout, dy) for s in x.stride()),
            EPS=eps,  # a number that is passed would be float32
            **tile,
        )
    return dy, du, dD.sum(0), dz


def _forward(y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float) -> Tensor:
    return epilogue(y, u, D, z, group_size, eps, empty_contiguous(u))


_norm = custom_operator(
    'gated_group_rms_norm_triton', _forward, epilogue_gradients, _outputs, empty=empty_contiguous
)


def _blocks(y: Tensor, group_size: int) -> tuple[int, dict[str, int]]:
    """Returns the number of blocks of tokens and the tile of a program."""
    width = triton.next_power_of_2(group_size)
    tokens = max(1, ELEMENTS // width)
    return cdiv(y.shape[0] * y.shape[1], tokens), {'BLOCK_T': tokens, 'BLOCK_G': width}
