"""What the Triton backends share: where they run, how they are loaded, how they multiply."""

import importlib
import importlib.util
import os
import sys
from functools import cache

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from .operator import Backend, on_cuda

CAPABILITY = (8, 0)  # the oldest GPUs that the kernels are compiled for in the tests
TRITON = '3.6'  # the oldest that the tests pass with; 3.4 multiplies no float64


def interpreted() -> bool:
    """Returns whether Triton interprets its kernels, which works on a CPU, slowly."""
    return os.environ.get('TRITON_INTERPRET') == '1'


def why_not(device: torch.device) -> str | None:
    """Returns why Triton kernels cannot run on a device, or None."""
    if importlib.util.find_spec('triton') is None:
        return 'triton is not installed'
    if device.type == 'cpu':
        if not interpreted():
            return 'is for GPUs (on a CPU only with TRITON_INTERPRET=1)'
        return too_old()
    if device.type != 'cuda':
        return 'is for CUDA devices'
    if not torch.cuda.is_available():
        return 'there is no CUDA device'
    capability = torch.cuda.get_device_capability(device)
    if capability < CAPABILITY:
        return f'needs compute capability {CAPABILITY}, the device has {capability}'
    return too_old()


@cache
def too_old() -> str | None:
    """Returns what to say of a Triton that the kernels were not tested with, or None."""
    version = TorchVersion(importlib.import_module('triton').__version__)  # compares as numbers do
    return f'needs Triton {TRITON} or newer, this is {version}' if version < TRITON else None


def triton_backend(operator: str) -> Backend:
    """Returns the backend `triton` of an operator, whose module is imported on the first call.

    On a CPU, where it would be interpreted, `auto` does not take it.
    """

    def run(*arguments: object) -> Tensor:
        # torch.compile knows the modules that there were when it first saw `sys.modules`, which has
        # the package, and reads attributes anew
        package = sys.modules[_loaded(operator)]
        return getattr(package.triton, f'triton_{operator}')(*arguments)

    return Backend(run, why_not, suits=on_cuda)


def _loaded(operator: str) -> str:
    """Returns the name of the package of an operator, of which `triton` is loaded."""
    package = f'{__package__}.{operator}'
    importlib.import_module(f'{package}.triton')
    return package


# torch.compile does not look into it: an import has no place in a graph, see `operator._choose`.
_loaded._dynamo_marked_constant = True  # type: ignore[attr-defined]


def cdiv(a: int, b: int) -> int:
    """Divides and rounds up."""
    return -(-a // b)


def products_of(*tensors: Tensor) -> dict[str, str | int]:
    """Returns how the kernels multiply matrices: `PRECISION` of `tl.dot`, and `num_warps`.

    tf32 holds 16-bit inputs exactly. Three products of the tf32 parts of float32 inputs are about
    as good as one in float32, which would leave the tensor cores and spill tens of kilobytes; they
    take the registers of twice as many warps.
    """
    size = max(x.dtype.itemsize for x in tensors)
    if size == 2:
        return {'PRECISION': 'tf32', 'num_warps': 4}
    return {'PRECISION': 'tf32x3' if size == 4 else 'ieee', 'num_warps': 8}
