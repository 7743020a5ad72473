"""Released weights, converted with the command-line tool as a user does it."""

import importlib.util
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdefocus import models
from mmdefocus.models.backbones import ImageBackbone

ROOT = Path(__file__).parents[2]
DATA = ROOT / 'tests' / 'data'

TINY_MAMBA = {
    'embed_dims': 16,
    'depth': 3,
    'intermediate_size': 32,
    'state_size': 4,
    'time_step_rank': 2,
    'group_norm_size': 16,
}
TINY_MAMBA2 = {
    'embed_dims': 16,
    'depth': 3,
    'intermediate_size': 32,
    'state_size': 4,
    'head_size': 16,
}
TINY_ARCHS = {
    'Adventurer': {**TINY_MAMBA2, 'feedforward_channels': 24},
    'BidirectionalMamba': TINY_MAMBA,
    'DefocusMamba': TINY_MAMBA,
    'DefocusMamba2': TINY_MAMBA2,
    'DefocusRetNet': {
        'embed_dims': 16,
        'depth': 3,
        'num_heads': 2,
        'value_channels': 32,
        'feedforward_channels': 24,
    },
    'DefocusViT': {'embed_dims': 16, 'depth': 3, 'num_heads': 2, 'feedforward_channels': 24},
    'MambaND': TINY_MAMBA,
    'S4NDViT': {'embed_dims': 16, 'depth': 3, 'feedforward_channels': 24, 'state_size': 4},
    'VisionRWKV': {'embed_dims': 16, 'depth': 3, 'feedforward_channels': 24, 'key_norm': 1},
}


@pytest.fixture
def tiny_archs() -> dict[str, dict[str, int]]:
    return {family: dict(arch) for family, arch in TINY_ARCHS.items()}


@pytest.fixture
def tiny_arch(tiny_archs) -> dict[str, int]:
    return tiny_archs['DefocusMamba']


def build_tiny(family: str, **kwargs: object) -> ImageBackbone:
    sizes = {'arch': TINY_ARCHS[family], 'img_size': 32, 'patch_size': 8}
    return getattr(models.backbones, family)(**{**sizes, **kwargs})


@pytest.fixture
def build_family() -> Callable[..., ImageBackbone]:
    """`build_family(family, depth=3, **options)`: as `build`, of one family."""

    def build(family: str, depth: int = 3, **options: object) -> ImageBackbone:
        return build_tiny(family, arch={**TINY_ARCHS[family], 'depth': depth}, **options)

    return build


def has_filter(family: str) -> bool:
    return 'learnable' in getattr(models.backbones, family).mixer.ropes


@pytest.fixture(params=TINY_ARCHS)
def build(request) -> Callable[..., ImageBackbone]:
    """Builds a tiny backbone of 3 blocks and 4 x 4 patches, for each family in turn."""
    return partial(build_tiny, request.param)


@pytest.fixture(params=[family for family in TINY_ARCHS if has_filter(family)])
def build_filtered(request) -> Callable[..., ImageBackbone]:
    """As `build`, for the families with the whole filter, decay and rotary embedding."""
    return partial(build_tiny, request.param)


@pytest.fixture(params=[family for family in TINY_ARCHS if family.startswith('Defocus')])
def build_causal(request) -> Callable[..., ImageBackbone]:
    """As `build`, for the causal families."""
    return partial(build_tiny, request.param)


@pytest.fixture(scope='session')
def convert() -> Callable[[list[str]], None]:
    path = ROOT / 'tools' / 'model_converters' / 'from_official.py'
    spec = importlib.util.spec_from_file_location('from_official', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


class Golden:
    """What the released implementation computed, and its hyper-parameters."""

    def __init__(self, name: str) -> None:
        family = name.partition('_')[0]
        self.meta = json.loads((DATA / f'{family}_meta.json').read_text())[name]
        with np.load(DATA / f'{name}.npz') as arrays:
            self.arrays = {key: torch.from_numpy(arrays[key]) for key in arrays.files}

    def __getitem__(self, key: str) -> torch.Tensor:
        return self.arrays[key]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        found = {k: v for k, v in self.arrays.items() if k.startswith(prefix)}
        return {k.removeprefix(prefix): v for k, v in found.items()}


@pytest.fixture(scope='session')
def golden() -> Callable[[str], Golden]:
    return Golden


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    difference = actual.detach().double() - expected.double()
    return (difference.norm() / expected.double().norm()).item()


@pytest.fixture(scope='session')
def assert_same() -> Callable[[torch.Tensor, torch.Tensor, str], None]:
    """The parity that the released weights must keep: 1e-4 relative in float32."""

    def check(actual: torch.Tensor, expected: torch.Tensor, name: str) -> None:
        error = relative_error(actual, expected)
        assert error <= 1e-4, f'{name}: relative error {error:.2e}'

    return check
