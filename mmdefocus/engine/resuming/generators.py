"""The random generators of one process: their states as plain data, and seeds for them."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch


def generator_states() -> dict[str, object]:
    """Returns the states of Python's, NumPy's and PyTorch's generators.

    They are tensors, numbers and lists alone, which a closed reader can read. The GPU is the one
    that the process uses; the key is missing without one.
    """
    _, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = cast(tuple, np.random.get_state())
    states = dict(
        python=dict(words=torch.tensor(words), gauss=gauss),
        numpy=dict(
            keys=torch.from_numpy(keys.astype(np.int64)),
            position=int(position),
            has_gauss=int(has_gauss),
            cached=float(cached),
        ),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available():
        states['cuda'] = torch.cuda.get_rng_state()
    return states


def set_generator_states(states: Mapping) -> None:
    """Sets the states that `generator_states` has returned."""
    python, numpy = states['python'], states['numpy']
    random.setstate((3, tuple(python['words'].tolist()), python['gauss']))
    keys = numpy['keys'].numpy().astype(np.uint32)
    np.random.set_state(('MT19937', keys, numpy['position'], numpy['has_gauss'], numpy['cached']))
    torch.set_rng_state(states['torch'].cpu())
    if 'cuda' in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states['cuda'].cpu())


def seed_generators(*numbers: int) -> None:
    """Seeds every generator of the process, GPUs included, from some numbers of 0 or more."""
    seed = _seed(numbers)
    _seed_cpu(seed)
    torch.manual_seed(seed)


def seed_sample(*numbers: int) -> None:
    """Seeds the generators that load data, those of the CPU, from some numbers of 0 or more."""
    _seed_cpu(_seed(numbers))


@contextmanager
def generators_kept() -> Iterator[None]:
    """Leaves the generators of the CPU at the end as they were at the start."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def _seed(numbers: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _seed_cpu(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
