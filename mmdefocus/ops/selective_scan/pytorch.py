"""The selective scan in plain torch, for machines without a compiler.

The sequence is cut into chunks of about sqrt(L) tokens. What does not depend on the state (decay
and input) is computed for a whole chunk at once, so that one fused multiply-add a token is left to
the loop. Only the states between chunks are kept; the backward recomputes the others, chunk by
chunk from the end (derivation in README.md). No `(B, L, D, N)` tensor exists at any time.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ..numerics import wide_dtype, without_autocast
from ..operator import Outputs
from ..transforms import Once


@without_autocast
def pytorch_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> Outputs:
    """See `selective_scan`."""
    y, final = _ChunkedScan.apply(u, delta, A, B, C, state)
    return y if state is None else (y, final)


def _chunks(length: int) -> list[slice]:
    size = max(1, math.isqrt(length))
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _time_first(x: Tensor, chunk: slice, dtype: torch.dtype) -> Tensor:
    """Cuts `(B, D, L)` to `(K, B, D)`."""
    return x[..., chunk].permute(2, 0, 1).to(dtype)


def _chunk_states(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the decays and the states of a chunk, `(K, B, D, N)` each.

    Args:
        u: `(K, B, D)`.
        delta: `(K, B, D)`.
        A: `(D, N)`.
        B: `(K, B, N)`.
        state: The state before the chunk, `(B, D, N)`.
    """
    decay = torch.exp(delta.unsqueeze(-1) * A)
    states = (delta * u).unsqueeze(-1) * B.unsqueeze(2)
    for t in range(len(states)):
        state = states[t].addcmul_(decay[t], state)
    return decay, states


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        initial: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        dtype = wide_dtype(u.dtype)
        rates = A.to(dtype)
        state = u.new_zeros(u.shape[0], *A.shape, dtype=dtype)
        if initial is not None:
            state.copy_(initial)
        chunks = _chunks(u.shape[2])
        before = state.new_empty(len(chunks), *state.shape)  # the state before each chunk
        y = torch.empty_like(u)
        for index, chunk in enumerate(chunks):
            before[index] = state
            u_c, delta_c, B_c, C_c = (_time_first(x, chunk, dtype) for x in (u, delta, B, C))
            _, states = _chunk_states(u_c, delta_c, rates, B_c, state)
            state = states[-1].clone()
            y[..., chunk] = (states @ C_c.unsqueeze(-1)).squeeze(-1).permute(1, 2, 0)
        ctx.save_for_backward(u, delta, A, B, C, before)
        return y, state

    @staticmethod
    def backward(ctx: Any, dy: Tensor, dfinal: Tensor) -> tuple[Tensor | None, ...]:
        *gradients, dinitial = Once.apply(
            'selective_scan', _backward, dy, dfinal, *ctx.saved_tensors
        )
        return *gradients, dinitial if ctx.needs_input_grad[5] else None


@without_autocast
def _backward(
    dy: Tensor,
    dfinal: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    before: Tensor,
) -> tuple[Tensor, ...]:
    """Returns the gradients of u, delta, A, B, C and the initial state.

    `before` holds the states between chunks.
    """
    dtype = before.dtype
    rates = A.to(dtype)
    du, ddelta, dB, dC = (torch.empty_like(x) for x in (u, delta, B, C))
    dA = torch.zeros_like(rates)
    carry = dfinal  # gradient that later chunks send to the state
    for index, chunk in reversed(list(enumerate(_chunks(u.shape[2])))):
        u_c, delta_c, B_c, C_c = (_time_first(x, chunk, dtype) for x in (u, delta, B, C))
        dy_c = _time_first(dy, chunk, dtype)
        decay, states = _chunk_states(u_c, delta_c, rates, B_c, before[index])

        dC_c = torch.einsum('kbd,kbdn->kbn', dy_c, states)
        dstates = dy_c.unsqueeze(-1) * C_c.unsqueeze(2)
        dstates[-1] += carry
        for t in range(len(dstates) - 1, 0, -1):
            dstates[t - 1].addcmul_(decay[t], dstates[t])
        carry = decay[0] * dstates[0]

        dinput = (dstates @ B_c.unsqueeze(-1)).squeeze(-1)
        dB_c = torch.einsum('kbd,kbdn->kbn', delta_c * u_c, dstates)
        # decay becomes the gradient of the exponent delta * A
        decay[0] *= before[index]
        decay[1:] *= states[:-1]
        dexponent = decay.mul_(dstates)
        dA += torch.einsum('kbdn,kbd->dn', dexponent, delta_c)
        ddelta_c = (dexponent * rates).sum(-1) + dinput * u_c

        for grad, part in ((du, dinput * delta_c), (ddelta, ddelta_c), (dB, dB_c), (dC, dC_c)):
            grad[..., chunk] = part.permute(1, 2, 0)
    return du, ddelta, dA.to(A.dtype), dB, dC, carry
