"""The Mamba-2 mixer (arXiv 2405.21060) with a learnable bandpass filter."""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops import (
    causal_conv1d,
    causal_conv1d_with_state,
    retention,
    retention_with_state,
)
from mmdefocus.ops.numerics import wide_dtype
from mmdefocus.utils.checks import check_divides, check_positive

from ..layers import DATA_DEPENDENT_FILTER, DECAYS, Filter, Mixer, RMSNorm, pair_frequencies
from .filtered_heads import HeadInputs
from .mamba import initial_time_steps

RATES = (1.0, 16.0)  # of the heads, |A|, from the first to the last


class Mamba2State(NamedTuple):
    """What the tokens so far have left.

    Attributes:
        conv: The last inputs of the convolution, `(B, K - 1, D + 2 N)`.
        memory: `(B, H, N, P)`, see `mmdefocus.ops.retention_with_state`.
    """

    conv: Tensor
    memory: Tensor


class Mamba2Mixer(Mixer):
    """Retention of heads with a decay for each token, between a convolution and a gated norm.

    As in Mamba-2 with one group: one projection to the gate z, to x, B, C and the time steps Δ; a
    convolution over x, B and C; A is a number for each head, B and C are those of all heads; the
    skip D, a number for each head, is added before the gate, and an RMS norm over all channels
    comes after it. The filter: the decay of a head is exp(Δ_t A), and B and C are turned by
    their positions, with one frequency for each pair of states.

    Args:
        embed_dims: C, channels of a token.
        intermediate_size: D, channels inside the mixer.
        state_size: N, states per channel.
        head_size: P, channels of a head; divides D into H heads.
        conv_kernel: K, width of the causal convolution in tokens.
        filter: The decay and the rotary embedding. 'data_dependent': Δ_t from the token, as in
            Mamba-2; 'learnable': Δ a learned vector `(H,)`; 'fixed': Δ and A stay as initialised;
            'none': exp(ΔA) = 1 and Δ = 1 (Table 4a).

    Raises:
        ValueError: If the heads do not divide D, or the states do not form pairs.
    """

    decays = DECAYS

    def __init__(
        self,
        embed_dims: int,
        intermediate_size: int,
        state_size: int = 128,
        head_size: int = 64,
        conv_kernel: int = 4,
        filter: Filter = DATA_DEPENDENT_FILTER,
    ) -> None:
        super().__init__(filter)
        check_divides('head_size', head_size, 'intermediate_size', intermediate_size)
        check_positive('state_size', state_size)
        filter.check_pairs('state_size', state_size)
        self.num_heads = intermediate_size // head_size
        self.state_size = state_size
        self.delta_scale = filter.delta_scale if filter.decay != 'none' else 1.0
        self.sizes = [intermediate_size, intermediate_size + 2 * state_size]
        if filter.decay == 'data_dependent':
            self.sizes.append(self.num_heads)

        self.in_proj = nn.Linear(embed_dims, sum(self.sizes), bias=False)
        # holds the weights under their usual names; ops.causal_conv1d computes with them
        self.conv1d = nn.Conv1d(self.sizes[1], self.sizes[1], conv_kernel, groups=self.sizes[1])
        self.norm = RMSNorm(intermediate_size, eps=1e-5)
        self.out_proj = nn.Linear(intermediate_size, embed_dims, bias=False)
        self.D = nn.Parameter(torch.ones(self.num_heads))
        self.decay = filter.make_decay(torch.ones(self.num_heads))
        if filter.decay != 'none':
            steps = torch.empty(self.num_heads)
            self.dt_bias = nn.Parameter(steps, requires_grad=filter.decay != 'fixed')
        self.rope = filter.make_rotary(pair_frequencies(state_size // 2), paired=True)
        for linear in (self.in_proj, self.out_proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)
        self.reset_filter()

    @torch.no_grad()
    def reset_filter(self) -> None:
        """Gives Δ, A, D and the frequencies their initial values.

        Δ and |A| lie in the ranges of Mamba-2, where both are random. Here they rise with the
        head, so that the heads look back from about one token to a thousand, whatever the seed.
        """
        nn.init.ones_(self.D)
        if self.decay is not None:
            self.decay.reset_rates(torch.linspace(*RATES, self.num_heads))
            self.dt_bias.copy_(initial_time_steps(self.num_heads))
        if self.rope is not None:
            self.rope.reset_frequencies(pair_frequencies(self.state_size // 2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Mixes `(B, L, C)` causally along L."""
        z, xBC, steps = self._split(tokens)
        xBC = causal_conv1d(xBC, *self._kernel())
        return self._gated(retention(*self.project(xBC, steps)), xBC, z)

    def initial_state(self, batch_size: int, forget: float = 0.0) -> Mamba2State:
        """Returns the state before the first token; its size is fixed, so nothing is forgotten."""
        inner, channels = self.sizes[:2]
        memory = batch_size, self.num_heads, self.state_size, inner // self.num_heads
        past, dtype = self.conv1d.kernel_size[0] - 1, wide_dtype(self.D.dtype)
        return Mamba2State(
            conv=self.D.new_zeros(batch_size, past, channels, dtype=dtype),
            memory=self.D.new_zeros(memory, dtype=dtype),
        )

    def advance(
        self, tokens: Tensor, state: Mamba2State, first: Tensor
    ) -> tuple[Tensor, Mamba2State]:
        """Mixes `(B, L, C)` after the tokens that a state has seen, see `Mixer.advance`."""
        z, xBC, steps = self._split(tokens)
        xBC, conv = causal_conv1d_with_state(xBC, *self._kernel(), state.conv)
        y, memory = retention_with_state(*self.project(xBC, steps, first), state.memory)
        return self._gated(y, xBC, z), Mamba2State(conv, memory)

    def prepare(self, tokens: Tensor) -> HeadInputs:
        """Turns `(B, L, C)` into the inputs of the retention, with the filter applied."""
        _, xBC, steps = self._split(tokens)
        return self.project(causal_conv1d(xBC, *self._kernel()), steps)

    def project(self, xBC: Tensor, steps: Tensor | None, first: Tensor | None = None) -> HeadInputs:
        """Turns what the convolution returns into the inputs of the retention.

        Args:
            xBC: `(B, L, D + 2 N)`.
            steps: Δ_t before bias and softplus, `(B, L, H)`; None if they do not come from tokens.
            first: Position of the first token, `()`, or 0.
        """
        x, BC = xBC.split([self.sizes[0], 2 * self.state_size], dim=-1)
        BC = BC.unflatten(-1, (2, self.state_size)).transpose(1, 2)  # (B, 2, L, N)
        if self.rope is not None:
            BC = self.rope(BC, first)
        k, q = BC.unsqueeze(2).unbind(1)  # (B, 1, L, N), of all heads
        v = x.unflatten(-1, (self.num_heads, -1))  # (B, L, H, P)
        if self.decay is None:
            return HeadInputs(q, k, v.transpose(1, 2), x.new_zeros(self.num_heads))
        delta = self.dt_bias if steps is None else steps + self.dt_bias
        delta = F.softplus(delta) / self.delta_scale  # (B, L, H) or (H,)
        v = v * delta.to(v.dtype).unsqueeze(-1)
        log_decay = delta * self.decay()
        if steps is not None:
            log_decay = log_decay.transpose(1, 2)  # (B, H, L)
        return HeadInputs(q, k, v.transpose(1, 2), log_decay)

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Returns z, x with B and C, and the time steps, if they come from tokens."""
        z, xBC, *steps = self.in_proj(tokens).split(self.sizes, dim=-1)
        return z, xBC, steps[0] if steps else None

    def _kernel(self) -> tuple[Tensor, Tensor]:
        return self.conv1d.weight.squeeze(1), cast(Tensor, self.conv1d.bias)

    def _gated(self, y: Tensor, xBC: Tensor, z: Tensor) -> Tensor:
        x = xBC[..., : self.sizes[0]].unflatten(-1, (self.num_heads, -1))
        y = torch.addcmul(y.transpose(1, 2), x, self.D.to(x.dtype).unsqueeze(-1))
        return self.out_proj(self.norm(y.flatten(2) * F.silu(z)))
