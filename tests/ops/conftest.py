import pytest
import torch


@pytest.fixture(autouse=True)
def _uninitialised_memory_is_nan():
    """Deterministic mode fills `torch.empty` with NaN, so a kernel that skips a place is seen."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)
