"""The mixer of Eq. 9 in plain torch: what `MambaMixer` computes, written to be read."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .mamba import MambaMixer


def reference_mamba_mixer(mixer: MambaMixer, tokens: Tensor) -> Tensor:
    """Mixes `(B, L, C)` with the weights of a mixer whose filter is data-dependent and rotary.

    D are the channels inside the mixer, K the width of the convolution, R the rank of the time
    steps, N the states per channel and G the channels of a group.

    Raises:
        ValueError: If the mixer has another filter.
    """
    bias = mixer.conv1d.bias
    if mixer.decay is None or mixer.rope is None or bias is None or not mixer.time_step_rank:
        raise ValueError("mixer: expected decay='data_dependent' and a rotary embedding")
    batch, length, _ = tokens.shape
    inner, states, width = len(mixer.D), mixer.state_size, mixer.conv1d.kernel_size[0]

    # u is what the mixer reads, z gates what it says
    u, z = (tokens @ mixer.in_proj.weight.mT).chunk(2, dim=-1)  # (B, L, D), (B, L, D)
    past = F.pad(u, (0, 0, width - 1, 0)).unfold(1, width, 1)  # (B, L, D, K)
    u = (past * mixer.conv1d.weight.squeeze(1)).sum(-1) + bias  # (B, L, D)
    u = F.silu(u)  # (B, L, D)

    # time steps, and input and output projections of the state, all from the token
    sizes = (mixer.time_step_rank, states, states)
    dt, B, C = (u @ mixer.x_proj.weight.mT).split(sizes, dim=-1)  # (B, L, R), (B, L, N) twice
    delta = F.softplus(dt @ mixer.dt_proj.weight.mT + mixer.dt_proj.bias)  # (B, L, D)
    delta = delta / mixer.delta_scale  # (B, L, D)

    # the filter: λ is A, and the angles θ turn B and C
    A = -mixer.decay.A_log.exp()  # (D, N)
    position = torch.arange(length, device=tokens.device) / mixer.rope.scale  # (L,)
    angle = position.unsqueeze(-1) * mixer.rope.freq  # (L, N)
    B, C = (x * angle.cos() + quarter_turn(x) * angle.sin() for x in (B, C))  # (B, L, N) twice

    # the scan: the state fades by exp(ΔA), takes in the token, and is read out
    state, outputs = tokens.new_zeros(batch, inner, states), []  # (B, D, N)
    for t in range(length):
        step = delta[:, t, :, None]  # (B, D, 1)
        state = (step * A).exp() * state  # (B, D, N)
        state = state + step * u[:, t, :, None] * B[:, t, None, :]  # (B, D, N)
        outputs.append((state * C[:, t, None, :]).sum(-1))  # (B, D)
    y = torch.stack(outputs, dim=1)  # (B, L, D)

    # normalisation in groups, skip and gate
    groups = y.unflatten(-1, (-1, mixer.group_norm_size))  # (B, L, D / G, G)
    y = F.rms_norm(groups, groups.shape[-1:], eps=1e-6).flatten(-2)  # (B, L, D)
    y = (y + u * mixer.D) * F.silu(z)  # (B, L, D)
    return y @ mixer.out_proj.weight.mT  # (B, L, C)


def quarter_turn(x: Tensor) -> Tensor:
    """Maps every channel pair (x1, x2) of `(B, L, N)` to (-x2, x1)."""
    return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)  # (B, L, N)
