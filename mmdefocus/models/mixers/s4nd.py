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

    def matrix(self, length: int, dtype: torch.dtype) -> Tensor:
        """Returns the convolution along an axis of L patches, `(M, C, L, L)`: a row for each."""
        earlier, later = self(length, dtype)
        offsets = torch.cat((later[..., : length - 1].flip(-1), earlier), dim=-1)
        return offsets.unfold(-1, length, 1).flip(-1)


class S4NDMixer(GridMixer):
    """A depthwise convolution over the whole image, whose kernels are outer products of two.

    GELU and a gated linear layer (GLU) follow, as in S4. The convolution is not circular. An outer
    product convolves one axis after the other, so this is two products with Toeplitz matrices: in
    time of `O(L (H + W))` a channel, and on a CPU faster than FFT of both axes, of `O(L log L)`,
    for images of 64 x 64 patches still.

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
        height, width = image.shape[-2:]
        columns = self.along_columns.matrix(height, dtype)
        rows = self.along_rows.matrix(width, dtype)
        return _convolve(image.to(dtype), columns, rows, self.D.to(dtype)).to(image.dtype)


@without_autocast
def _convolve(image: Tensor, columns: Tensor, rows: Tensor, D: Tensor) -> Tensor:
    image = image.permute(1, 2, 3, 0)  # images are innermost: few large products, not many small
    y = torch.einsum('mchi,ciwb->mchwb', columns, image)
    y = torch.einsum('mcwj,mchjb->mchwb', rows, y)
    y = torch.addcmul(y, D.unflatten(0, (len(y), -1))[..., None, None, None], image)
    return y.flatten(0, 1).permute(3, 0, 1, 2)
