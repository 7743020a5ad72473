"""A data loader that starts at any batch and draws the same random numbers for a sample again."""

from collections.abc import Iterator
from typing import cast

from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler

from .generators import generators_kept, seed_sample


class SeededBatch(list):
    """The indices of a batch, which seed the generators before each sample is loaded.

    A sample is loaded while its index is read, in the process that loads it. The seeds come from
    the seed of the run, the lap and the place of the sample in it over all processes, so that the
    sample is the same for any number of workers and processes, and whatever was loaded before.
    The generators then go on from where they were: loading takes nothing from the model's draws.
    """

    def __init__(self, indices: list, seed: int, lap: int, places: range) -> None:
        super().__init__(indices)
        self.seed = seed
        self.lap = lap
        self.places = places

    def __iter__(self) -> Iterator[int]:
        with generators_kept():
            for place, index in zip(self.places, super().__iter__(), strict=True):
                seed_sample(self.seed, self.lap, place)
                yield index


class PositionedBatches(Sampler):
    """Batches of another batch sampler from a given one on, each with the seeds of its samples.

    Args:
        batches: What yields lists of indices.
        seed: The seed of the run.
        endless: Whether a new lap begins where one ends, as an iteration-based loop wants it.
    """

    def __init__(self, batches: BatchSampler, seed: int, endless: bool) -> None:
        self.batches = batches
        self.seed = seed
        self.endless = endless
        self.lap = 0
        self.skipped = 0

    def start_at(self, lap: int, batch: int) -> None:
        """Sets the lap, and the batch of it at which the next iteration starts."""
        self.lap = lap
        self.skipped = batch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        while True:
            skipped, self.skipped = self.skipped, 0
            number = -1
            for number, batch in enumerate(self._seeded_lap()):
                if number >= skipped:
                    yield batch
            if not self.endless or number < 0:
                return
            # An endless stream may be entered laps after its start.
            self.skipped = max(0, skipped - number - 1)
            self.lap += 1

    def _seeded_lap(self) -> Iterator[SeededBatch]:
        rank, world_size = get_dist_info()
        if self.endless:
            set_epoch = getattr(getattr(self.batches, 'sampler', None), 'set_epoch', None)
            if set_epoch:
                set_epoch(self.lap)
        place = 0
        for batch in self.batches:
            after = place + len(batch)
            places = range(place * world_size + rank, after * world_size + rank, world_size)
            yield SeededBatch(batch, self.seed, self.lap, places)
            place = after


class PositionedLoader(DataLoader):
    """A data loader with the settings of another, whose next batch can be chosen.

    Args:
        loader: Any loader of a dataset with indices.
        seed: The seed of the run.
        endless: See `PositionedBatches`.
    """

    def __init__(self, loader: DataLoader, seed: int, endless: bool) -> None:
        plain = type(loader.batch_sampler) is BatchSampler
        super().__init__(
            loader.dataset,
            **dict(batch_size=loader.batch_size, sampler=loader.sampler, drop_last=loader.drop_last)
            if plain
            else dict(batch_sampler=loader.batch_sampler),
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=loader.generator,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )
        self.positioned = PositionedBatches(cast(BatchSampler, self.batch_sampler), seed, endless)

    @property
    def _index_sampler(self) -> Sampler:
        """What PyTorch iterates over; `batch_size` and `sampler` stay for those who ask."""
        return self.positioned

    @property
    def batch_length(self) -> int:
        """The number of samples of a whole batch in this process."""
        return cast(BatchSampler, self.batch_sampler).batch_size


def can_be_positioned(loader: DataLoader) -> bool:
    """Returns whether a loader reads batches of indices, of a size that it knows."""
    by_index = not isinstance(loader.dataset, IterableDataset)
    return by_index and hasattr(loader.batch_sampler, 'batch_size')
