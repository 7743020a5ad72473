"""Which backend runs a call, and why.

An operator registers its backends in the order of preference. A backend is a function and a
probe: the probe gets the device of the call and answers None if the backend can serve it, or the
reason why it cannot. The first that can is taken, unless `backend=` or the environment variable
MMDEFOCUS_BACKEND names one.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import torch


class Backend(NamedTuple):
    """An implementation of an operator and the probe that tells whether it can run.

    Under `auto` it serves only devices of the type `auto_on`, before all others; or any if None.
    """

    run: Callable[..., torch.Tensor]
    why_not: Callable[[torch.device], str | None]
    auto_on: str | None = None


_OPERATORS: dict[str, dict[str, Backend]] = {}


def register(operator: str, backends: dict[str, Backend]) -> None:
    """Registers the backends of an operator, the most preferred first."""
    _OPERATORS[operator] = backends


def always(device: torch.device) -> None:
    """The probe of a backend that runs wherever torch runs."""


def select(
    operator: str, backend: str, device: torch.device, prefer: str | None = None
) -> Callable[..., torch.Tensor]:
    """Returns the function that serves a call of `operator` on `device`.

    Args:
        operator: A registered operator, such as `selective_scan`.
        backend: The name of a backend, or `auto`: MMDEFOCUS_BACKEND if it is set and the
            operator has such a backend, else the first that can run.
        device: Where the tensors of the call are.
        prefer: Of the backends for any device, the one that goes before the others under `auto`,
            where the best one depends on the sizes of the call.

    Raises:
        ValueError: If the wanted backend does not exist or cannot run here.
    """
    return _OPERATORS[operator][_choose(operator, backend, device, prefer)].run


def _choose(operator: str, backend: str, device: torch.device, prefer: str | None) -> str:
    backends = _OPERATORS[operator]
    source = 'backend'
    if backend == 'auto':
        backend = os.environ.get('MMDEFOCUS_BACKEND', 'auto')
        source = 'MMDEFOCUS_BACKEND'
        known = any(backend in table for table in _OPERATORS.values())
        if backend not in backends and known:
            backend = 'auto'
    if backend == 'auto':
        names = sorted(backends, key=lambda n: (backends[n].auto_on is None, n != prefer))
        return next(
            name
            for name in names
            if backends[name].auto_on in (None, device.type)
            and backends[name].why_not(device) is None
        )
    if backend not in backends:
        raise ValueError(
            f'{source}: {operator} has no backend {backend!r}, choose auto or one of '
            f'{", ".join(backends)}'
        )
    reason = backends[backend].why_not(device)
    if reason is not None:
        raise ValueError(f'{source}: {backend!r} cannot run {operator} on {device}: {reason}')
    return backend


# torch.compile takes the name as a constant and does not trace the probes. This is all that
# torch.compiler.assume_constant_result does, which would import the whole compiler for it.
_choose._dynamo_marked_constant = True


def available_backends(device: str | torch.device | None = None) -> dict[str, dict[str, str]]:
    """Tells which backends can run on a device, and why the others cannot.

    Args:
        device: The device to ask for; by default the GPU if there is one, else the CPU.

    Returns:
        For every operator a dict from the name of a backend to 'available' or the reason why it
        cannot run, in the order of preference.
    """
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    device = torch.device(device)
    return {
        operator: {name: b.why_not(device) or 'available' for name, b in backends.items()}
        for operator, backends in _OPERATORS.items()
    }
