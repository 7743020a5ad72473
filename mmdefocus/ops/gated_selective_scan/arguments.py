"""The arguments of the gated selective scan, which travel together."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..arguments import check_eps, check_flag, check_group_size, check_tensors

DIMENSIONS = {
    'u': 'BLD',
    'A': 'DN',
    'delta': 'BLD',
    'B': 'BLN',
    'C': 'BLN',
    'D': 'D',
    'z': 'BLD',
    'delta_bias': 'D',
    'initial_state': 'BDN',
}
OPTIONAL = ('delta_bias', 'initial_state')


class GatedScan(NamedTuple):
    """What `gated_selective_scan` is given, and what its backends take, see there.

    With an initial state the backends return the final one as well.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor
    group_size: int
    eps: float
    delta_bias: Tensor | None
    delta_softplus: bool
    initial_state: Tensor | None = None

    @property
    def device(self) -> torch.device:
        """The device of all tensors."""
        return self.u.device

    def tensors(self) -> dict[str, Tensor]:
        """Returns the tensors that there are, by name."""
        fields = {name: getattr(self, name) for name in DIMENSIONS}
        return {name: x for name, x in fields.items() if x is not None or name not in OPTIONAL}

    def check(self) -> None:
        """Checks the arguments against each other, but for the initial state.

        Raises:
            ValueError: If they do not fit.
        """
        others = self._replace(initial_state=None)
        check_tensors(others.tensors(), DIMENSIONS)
        check_group_size(self.group_size, self.u.shape[2])
        check_eps(self.eps)
        check_flag('delta_softplus', self.delta_softplus)
