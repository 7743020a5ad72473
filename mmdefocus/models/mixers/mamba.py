"""The Mamba mixer with a learnable bandpass filter (Eq. 9); `reference.py` is its plain form."""

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import (
    causal_conv1d,
    causal_conv1d_with_state,
    gated_selective_scan,
    gated_selective_scan_with_state,
)
from mmdefocus.ops.numerics import wide_dtype
from mmdefocus.utils.checks import check_divides

from ..layers import DATA_DEPENDENT_FILTER, DECAYS, Filter, Mixer, rotary_frequencies

TIME_STEP_RANGE = (0.001, 0.1)


def initial_time_steps(number: int) -> Tensor:
    """Returns Δ before the softplus, `(number,)`: of steps that rise from 0.001 to 0.1.

    They rise in equal ratios, as released, where Appendix B.2 says "linearly distributed".
    """
    low, high = (math.log(step) for step in TIME_STEP_RANGE)
    steps = torch.linspace(low, high, number).exp()
    return steps + torch.log(-torch.expm1(-steps))


class ScanInputs(NamedTuple):
    """Inputs of the selective scan, with the filter applied.

    Attributes:
        u: `(B, L, D)`, after the convolution and SiLU.
        delta: Time steps Δ, `(B, L, D)`, before bias and softplus.
        A: λ over `delta_scale`, `(D, N)`.
        B: Turned by the positions, over `delta_scale`, `(B, L, N)`.
        C: Turned by the positions, `(B, L, N)`.
        delta_bias: Added to `delta`, `(D,)`; or None.
        delta_softplus: Whether the time steps are the softplus of that sum.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    delta_bias: Tensor | None
    delta_softplus: bool


class MambaState(NamedTuple):
    """What the tokens so far have left.

    Attributes:
        conv: The last inputs of the convolution, `(B, K - 1, D)`.
        scan: The state of the selective scan, `(B, D, N)`.
    """

    conv: Tensor
    scan: Tensor


class MambaMixer(Mixer):
    """Selective scan between a gated input and output projection, all in `(B, L, D)`.

    As released: the skip D and the gate z are applied after a group RMS normalisation of the
    scan's output, and B and C carry the rotary embedding, one frequency per state.

    Args:
        embed_dims: C, channels of a token.
        intermediate_size: D, channels inside the mixer.
        state_size: N, states per channel. 0 leaves the scan out: what remains is the gated
            convolution of MambaOut (arXiv 2405.07992), without a filter.
        conv_kernel: Width of the causal convolution in tokens.
        time_step_rank: Rank of the projection to the time steps Δ.
        group_norm_size: Channels in a group of the RMS normalisation; divides D.
        filter: The rotary embedding of B and C, and the decay. 'data_dependent': exp(Δ_t A) with
            Δ_t from the token, as in Mamba; 'learnable': Δ a learned vector `(D,)`; 'fixed': Δ
            and A stay as initialised; 'none': exp(ΔA) = 1 and Δ = 1 (Table 4a).

    Raises:
        ValueError: If the groups do not divide D, the states do not form pairs, or a filter has no
            states.
    """

    decays = DECAYS

    def __init__(
        self,
        embed_dims: int,
        intermediate_size: int,
        state_size: int = 16,
        conv_kernel: int = 4,
        time_step_rank: int = 48,
        group_norm_size: int = 64,
        filter: Filter = DATA_DEPENDENT_FILTER,
    ) -> None:
        super().__init__(filter)
        check_divides('group_norm_size', group_norm_size, 'intermediate_size', intermediate_size)
        filter.check_pairs('state_size', state_size)
        if not state_size and (filter.decay, filter.rope) != ('none', 'none'):
            raise ValueError(
                "state_size: 0 leaves no scan to filter: expected decay='none', rope='none', got "
                f'decay={filter.decay!r}, rope={filter.rope!r}'
            )
        self.group_norm_size = group_norm_size
        self.delta_scale = filter.delta_scale if filter.decay != 'none' else 1.0
        self.time_step_rank = time_step_rank if filter.decay == 'data_dependent' else 0
        self.state_size = state_size

        self.in_proj = nn.Linear(embed_dims, 2 * intermediate_size, bias=False)
        # holds the weights under their usual names; ops.causal_conv1d computes with them
        self.conv1d = nn.Conv1d(
            intermediate_size, intermediate_size, conv_kernel, groups=intermediate_size
        )
        if state_size:
            self.x_proj = nn.Linear(
                intermediate_size, self.time_step_rank + 2 * state_size, bias=False
            )
        self.out_proj = nn.Linear(intermediate_size, embed_dims, bias=False)
        self.D = nn.Parameter(torch.ones(intermediate_size))

        rates = torch.arange(1.0, state_size + 1).expand(intermediate_size, -1)
        self.decay = filter.make_decay(rates)
        if filter.decay == 'data_dependent':
            self.dt_proj = nn.Linear(time_step_rank, intermediate_size)
        elif filter.decay != 'none':
            steps = torch.empty(intermediate_size)
            self.dt_bias = nn.Parameter(steps, requires_grad=filter.decay == 'learnable')
        self.rope = filter.make_rotary(rotary_frequencies(state_size))
        for linear in self.children():
            if isinstance(linear, nn.Linear) and linear.bias is None:
                nn.init.trunc_normal_(linear.weight, std=0.02)
        self.reset_filter()

    @torch.no_grad()
    def reset_filter(self) -> None:
        """Gives Δ, A, D and the frequencies their initial values (Appendix B.2).

        A generic initialisation of linear layers would erase them: the bias of `dt_proj` holds
        the inverse softplus of time steps that rise with the channel from 0.001 to 0.1. They are
        sorted so that the channels of a group have similar magnitudes.
        """
        nn.init.ones_(self.D)
        if self.rope is not None:
            self.rope.reset_frequencies(rotary_frequencies(self.state_size))
        if self.decay is None:
            return
        self.decay.reset_rates(torch.arange(1.0, self.state_size + 1))
        steps = initial_time_steps(len(self.D))
        if self.time_step_rank:
            bound = self.time_step_rank**-0.5
            nn.init.uniform_(self.dt_proj.weight, -bound, bound)
            self.dt_proj.bias.copy_(steps)
        else:
            self.dt_bias.copy_(steps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` causally along L."""
        u, z = self.in_proj(tokens).chunk(2, dim=-1)
        return self.out_proj(self.scan(u, z))

    def scan(self, u: Tensor, z: Tensor) -> Tensor:
        """Reads u `(B, L, D)` from its first token to its last, gated by z `(B, L, D)`."""
        if not self.state_size:
            return self.convolve(u) * self.D * F.silu(z)
        x = self.prepare(u)
        return gated_selective_scan(
            *(x.u, x.delta, x.A, x.B, x.C, self.D, z, self.group_norm_size),
            delta_bias=x.delta_bias,
            delta_softplus=x.delta_softplus,
        )

    def initial_state(self, batch_size: int, forget: float = 0.0) -> MambaState:
        """Returns the state before the first token; its size is fixed, so nothing is forgotten."""
        inner, past = len(self.D), self.conv1d.kernel_size[0] - 1
        dtype = wide_dtype(self.D.dtype)
        return MambaState(
            conv=self.D.new_zeros(batch_size, past, inner, dtype=dtype),
            scan=self.D.new_zeros(batch_size, inner, self.state_size, dtype=dtype),
        )

    def advance(
        self, tokens: Tensor, state: MambaState, first: Tensor
    ) -> tuple[Tensor, MambaState]:
        """Mixes `(B, L, C)` after the tokens that a state has seen, see `Mixer.advance`."""
        u, z = self.in_proj(tokens).chunk(2, dim=-1)
        weight, bias = self.conv1d.weight.squeeze(1), cast(Tensor, self.conv1d.bias)
        u, conv = causal_conv1d_with_state(u, weight, bias, state.conv)
        if not self.state_size:
            return self.out_proj(u * self.D * F.silu(z)), MambaState(conv, state.scan)
        x = self.project(u, first)
        y, scan = gated_selective_scan_with_state(
            *(x.u, x.delta, x.A, x.B, x.C, self.D, z, self.group_norm_size),
            initial_state=state.scan,
            delta_bias=x.delta_bias,
            delta_softplus=x.delta_softplus,
        )
        return self.out_proj(y), MambaState(conv, scan)

    def convolve(self, u: Tensor) -> Tensor:
        """Applies the causal convolution and SiLU to `(B, L, D)`."""
        weight, bias = self.conv1d.weight.squeeze(1), cast(Tensor, self.conv1d.bias)
        return causal_conv1d(u, weight, bias)

    def prepare(self, u: Tensor) -> ScanInputs:
        """Turns u `(B, L, D)`, a half of the input projection, into the inputs of the scan."""
        return self.project(self.convolve(u))

    def project(self, u: Tensor, first: Tensor | None = None) -> ScanInputs:
        """Turns what the convolution returns, `(B, L, D)`, into the inputs of the scan.

        The position of the first token is `first`, `()`, or 0.
        """
        time_step, BC = self.x_proj(u).split([self.time_step_rank, 2 * self.state_size], dim=-1)
        BC = BC.unflatten(-1, (2, self.state_size)).transpose(1, 2)  # (B, 2, L, N)
        if self.rope is not None:
            BC = self.rope(BC, first)
        B, C = BC.unbind(1)
        bias = None
        if self.decay is None:
            delta, A = torch.ones_like(u), u.new_zeros(len(self.D), self.state_size)
        elif self.time_step_rank:
            # the scan adds the bias as it reads Δ: one pass over (B, L, D) less, each way
            delta, bias = F.linear(time_step, self.dt_proj.weight), self.dt_proj.bias
            A = self.decay()
        else:
            delta, A = self.dt_bias.expand_as(u), self.decay()
        if self.delta_scale != 1:
            # Δ is divided in what it multiplies, A and B, which are small beside it
            A, B = A / self.delta_scale, B / self.delta_scale
        return ScanInputs(u, delta, A, B, C, bias, delta_softplus=self.decay is not None)
