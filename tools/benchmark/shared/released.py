"""The De-focus Mamba mixer in the order of operations of the released implementation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdefocus.models.mixers import MambaMixer
from mmdefocus.ops import selective_scan


class ReleasedOrderMixer(MambaMixer):
    """As `MambaMixer`, with eager operations around a scan in `(B, D, L)`, its epilogue in float32.

    The order of operations is what is measured, so the scan and what is around it are written out.
    `MambaMixer.prepare` leaves the bias of the time steps to the scan, which the released code adds
    in `dt_proj`.

    Args:
        backend: The backend of the scan; the released code has that of mamba_ssm.
        **sizes: Those of `MambaMixer`.
    """

    def __init__(self, backend: str, **sizes: int) -> None:
        super().__init__(**sizes)
        self.backend = backend

    def scan(self, u: Tensor, z: Tensor) -> Tensor:
        u, z = u.mT, z.mT
        padded = F.pad(u, (self.conv1d.kernel_size[0] - 1, 0))
        u = F.silu(self.conv1d(padded))
        rank, state = self.time_step_rank, self.state_size
        time_step, B, C = self.x_proj(u.mT).split([rank, state, state], dim=-1)
        B, C = self.rope(B), self.rope(C)
        raw = self.dt_proj(time_step)
        delta = F.softplus(raw.to(torch.promote_types(raw.dtype, torch.float32))).mT.contiguous()
        y = selective_scan(u, delta, self.decay(), B.mT, C.mT, backend=self.backend)
        groups = y.float().unflatten(1, (-1, self.group_norm_size))
        scale = torch.rsqrt(groups.square().mean(2, keepdim=True) + 1e-6)
        y = (groups * scale).flatten(1, 2) + u.float() * self.D[:, None]
        return (y * F.silu(z.float())).to(z.dtype).mT
