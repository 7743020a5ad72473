"""A state space in each of two dimensions: S4ND (arXiv 2210.06583) of diagonal kernels (S4D)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.ops.numerics import wide_dtype, without_autocast
from mmdefocus.utils.checks import check_multiple

from ..layers import LEARNABLE_DECAY, Filter, Grid, GridMixer

STEP_RANGE = (0.01, 1.0)  # ten times S4's: an axis has tens of patches, where a text has hundreds


class DiagonalKernel(nn.Module):
    """The impulse responses of diagonal state spaces along one axis, to both sides.

    A state n has the pole `A_n = -exp(A_log_n) + i A_imag_n`, begun at -1/2 + iπn (S4D-Lin) and
    shared by all channels. A channel has a step Δ, geometric in `STEP_RANGE`, and complex weights
    C_n for each kernel and side, which contain the input weights. Held inputs (zero-order hold)
    make a response of `2 Re Σ_n C_n (exp(Δ A_n) - 1) / A_n exp(Δ A_n l)` at distance l.

    States that turn by more than α half turns a patch are left out: they would alias. α = 1 is the
    Nyquist frequency.

    Args:
        channels: C.
        states: N, real ones; N / 2 poles stand for conjugate pairs.
        kernels: M, kernels of a channel.
        step_scale: Divides Δ at another resolution.
        band_limit: α.
    """

    def __init__(
        self, channels: int, states: int, kernels: int, step_scale: float, band_limit: float
    ) -> None:
        super().__init__()
        self.step_scale = step_scale
        self.band_limit = band_limit
        pairs = states // 2
        self.A_log, self.A_imag = (nn.Parameter(torch.empty(pairs)) for _ in range(2))
        self.log_step = nn.Parameter(torch.empty(channels))
        self.weight = nn.Parameter(torch.randn(2, kernels, channels, pairs, 2))
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Gives poles and steps their initial values."""
        self.A_log.fill_(math.log(0.5))
        self.A_imag.copy_(math.pi * torch.arange(len(self.A_imag)))
        low, high = map(math.log, STEP_RANGE)
        self.log_step.copy_(torch.rand(len(self.log_step)) * (high - low) + low)

    def forward(self, length: int, dtype: torch.dtype) -> Tensor:
        """Returns the responses at distances 0 to length - 1, `(2, M, C, length)`.

        The first of the two are those from earlier patches, the second those from later ones, whose
        nearest is at distance 0.
        """
        poles = torch.complex(-self.A_log.to(dtype).exp(), self.A_imag.to(dtype))
        step = self.log_step.to(dtype).exp().unsqueeze(-1) / self.step_scale  # (C, 1)
        turns = step * poles  # (C, N / 2)
        held = (turns.exp() - 1) / poles
        held = held * (turns.imag.abs() <= self.band_limit * math.pi)
        distance = torch.arange(length, device=poles.device, dtype=dtype)
        powers = (turns.unsqueeze(-1) * distance).exp()  # (C, N / 2, length)
        weight = torch.view_as_complex(self.weight.to(dtype).contiguous()) * held
        return 2 * torch.einsum('dmcn,cnl->dmcl', weight, powers).real

    def spectrum(self, length: int, dtype: torch.dtype) -> Tensor:
        """Returns the Fourier transform of the kernels on 2 L places, `(M, C, 2 L)`, complex."""
        earlier, later = self(length, dtype)
        # offset 0 first; later patches have negative offsets, which are at the end
        return torch.fft.fft(torch.cat((earlier, later.flip(-1)), dim=-1))


class S4NDMixer(GridMixer):
    """A depthwise convolution over the whole image, whose kernels are outer products of two.

    GELU and a gated linear layer (GLU) follow, as in S4. The convolution is not circular. It is
    computed by FFT in time of `O(L log L)` a channel.

    Args:
        embed_dims: C, channels of a token.
        state_size: N, states of a kernel, even.
        kernels: M, kernels of a channel.
        band_percent: α of `DiagonalKernel` in percent.
        filter: A learnable decay without rotary embedding; there is no other. `delta_scale` divides
            the steps.

    Raises:
        ValueError: If N is odd, or the filter another.
    """

    decays = ('learnable',)
    ropes = ('none',)

    def __init__(
        self,
        embed_dims: int,
        state_size: int = 32,
        kernels: int = 2,
        band_percent: int = 100,
        filter: Filter = LEARNABLE_DECAY,
    ) -> None:
        super().__init__(filter)
        check_multiple('state_size', state_size, 2)
        sizes = (embed_dims, state_size, kernels, filter.delta_scale, band_percent / 100)
        self.along_columns = DiagonalKernel(*sizes)
        self.along_rows = DiagonalKernel(*sizes)
        self.D = nn.Parameter(torch.randn(kernels * embed_dims))
        self.out_proj = nn.Linear(kernels * embed_dims, 2 * embed_dims)
        nn.init.trunc_normal_(self.out_proj.weight, std=0.02)
        nn.init.zeros_(self.out_proj.bias)

    def reset_filter(self) -> None:
        """Gives poles and steps of both axes their initial values."""
        self.along_columns.reset()
        self.along_rows.reset()

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Mixes `(B, H * W, C)`; every token sees all."""
        y = grid.to_tokens(self.convolve(grid.to_map(tokens)))
        return F.glu(self.out_proj(F.gelu(y)), dim=-1)

    def convolve(self, image: Tensor) -> Tensor:
        """Returns the convolutions of `(B, C, H, W)` with all kernels, `(B, M C, H, W)`."""
        dtype = wide_dtype(image.dtype)
        columns, rows = (
            axis.spectrum(length, dtype)
            for axis, length in zip(
                (self.along_columns, self.along_rows), image.shape[-2:], strict=True
            )
        )
        return _convolve(image.to(dtype), columns, rows, self.D.to(dtype)).to(image.dtype)


@without_autocast
def _convolve(image: Tensor, columns: Tensor, rows: Tensor, D: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    kernel = columns.unsqueeze(-1) * rows[..., : width + 1].unsqueeze(-2)  # (M, C, 2 H, W + 1)
    spectrum = torch.fft.rfft2(image, s=(2 * height, 2 * width))  # (B, C, 2 H, W + 1)
    y = torch.fft.irfft2(spectrum.unsqueeze(1) * kernel, s=(2 * height, 2 * width))
    skip = D.unflatten(0, (len(kernel), -1))[..., None, None] * image.unsqueeze(1)
    return (y[..., :height, :width] + skip).flatten(1, 2)
