import logging
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler

from mmdefocus.engine.hooks import SampleOrderHook
from mmdefocus.engine.hooks.sample_order_hook import order_hash


@pytest.fixture
def logged(caplog):
    """Returns what the hook logs for a seed and an epoch."""

    def logged(seed: int, epoch: int) -> str:
        sampler = DefaultSampler(range(100), shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        runner = SimpleNamespace(
            epoch=epoch,
            logger=logging.getLogger('sample_order'),
            train_dataloader=SimpleNamespace(sampler=sampler),
        )
        caplog.clear()
        with caplog.at_level(logging.INFO):
            SampleOrderHook().before_train_epoch(runner)
        expected = order_hash(np.array(list(sampler)))
        assert caplog.messages == [f'epoch {epoch + 1}: 100 samples, order sha256 {expected}']
        return expected

    return logged


def test_equal_seeds_and_epochs_have_equal_hashes(logged):
    assert logged(0, 1) == logged(0, 1)


def test_another_epoch_or_seed_has_another_hash(logged):
    assert len({logged(0, 0), logged(0, 1), logged(7, 0)}) == 3
