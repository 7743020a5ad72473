import numpy as np
import pytest
from mmengine.dataset import DefaultSampler

from mmdefocus.datasets import ImageTextShards, ShardSampler
from mmdefocus.utils.errors import InputError

LENGTHS = (3, 5, 4)


@pytest.fixture
def dataset(tmp_path, write_shard, members):
    """Three shards of different lengths."""
    for number, length in enumerate(LENGTHS):
        write_shard(tmp_path / f'part-{number}.tar', members(length))
    return ImageTextShards('part-{0..2}.tar', str(tmp_path))


@pytest.fixture
def processes(monkeypatch):
    """Makes the samplers of so many processes."""

    def make(count, *args, **settings):
        samplers = []
        for rank in range(count):
            monkeypatch.setattr(
                'mmdefocus.datasets.pairs.sampler.get_dist_info', lambda rank=rank: (rank, count)
            )
            samplers.append(ShardSampler(*args, **settings))
        return samplers

    return make


def many_shards(dataset, shards=40, length=100):
    dataset.ends = np.arange(1, shards + 1) * length
    return dataset


@pytest.mark.parametrize('settings', [{}, dict(streams=3), dict(streams=4, window=2)])
def test_an_epoch_has_every_sample_once(dataset, settings):
    order = list(ShardSampler(dataset, **settings))
    assert sorted(order) == list(range(12))


def test_order_is_a_function_of_seed_and_epoch(dataset):
    def order(seed, epoch):
        sampler = ShardSampler(many_shards(dataset), streams=4, window=200, seed=seed)
        sampler.set_epoch(epoch)
        return tuple(sampler)

    assert order(0, 1) == order(0, 1)
    assert len({order(0, 0), order(0, 1), order(1, 0)}) == 3


@pytest.mark.parametrize('count', [2, 3, 4, 8])
def test_processes_take_turns_in_the_order_of_one(dataset, processes, count):
    settings = dict(streams=4, window=50, seed=1)
    (alone,) = processes(1, many_shards(dataset), **settings)
    parts = [list(sampler) for sampler in processes(count, dataset, **settings)]
    whole = [sample for step in zip(*parts, strict=True) for sample in step]
    assert whole == list(alone)[: len(whole)]
    assert all(len(part) == 4000 // count for part in parts)


def shards_of(samples, length=100):
    return len({sample // length for sample in samples})


def test_a_process_reads_few_shards_at_a_time(dataset, processes):
    for sampler in processes(4, many_shards(dataset), streams=4, window=200):
        order = list(sampler)
        assert max(shards_of(order[i : i + 200]) for i in range(0, len(order), 200)) <= 3
    anywhere = list(DefaultSampler(range(4000), shuffle=True, seed=0))
    assert shards_of(anywhere[:200]) > 30


def test_samples_of_a_window_are_shuffled(dataset):
    order = np.array(list(ShardSampler(many_shards(dataset), window=200)))
    assert (np.diff(order[:200]) == 1).mean() < 0.05
    assert shards_of(order[:100]) >= 2


def test_what_is_left_out_changes_with_the_epoch(dataset):
    sampler = ShardSampler(dataset, streams=5)
    left_out = []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert len(order) == len(set(order)) == len(sampler) == 10
        left_out.append(frozenset(range(12)) - set(order))
    assert len(set(left_out)) > 1


def test_more_streams_than_samples_are_refused(dataset):
    with pytest.raises(InputError, match=r'expected at least 13 samples.*got 12'):
        ShardSampler(dataset, streams=13)


def test_more_processes_than_samples_are_refused(dataset, processes):
    with pytest.raises(InputError, match=r'expected at least 13 samples.*got 12'):
        processes(13, dataset)


def test_dataset_without_shards_is_refused():
    with pytest.raises(InputError, match='expected a dataset of ImageTextShards, got list'):
        ShardSampler([1, 2])


@pytest.mark.parametrize('name', ['streams', 'window'])
def test_a_number_that_is_not_positive_is_refused(dataset, name):
    with pytest.raises(ValueError, match=f'{name}: expected a positive'):
        ShardSampler(dataset, **{name: 0})
