"""An order of samples that reads few shards at a time."""

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from ...registry import DATA_SAMPLERS
from ...utils.checks import check_positive
from ...utils.errors import InputError
from .shards import ImageTextShards


@DATA_SAMPLERS.register_module()
class ShardSampler(Sampler):
    """Shuffles shards, and within them samples that are near each other.

    An epoch puts the shards into a random order and cuts the row of their samples into `streams`
    of equal length. Each stream is shuffled within windows. A batch takes from the streams by
    turns, so that it has samples of many shards, while a process reads one or two shards of each
    of its streams at a time. `DefaultSampler` reads any sample of any shard at any time, and holds
    a list of all of them, 16 GB for 400 million.

    The order follows from the seed, the epoch and the arguments alone: a training that is resumed
    goes on with the next sample, with any number of processes. Fewer than `streams` samples are
    left out of an epoch, others each time.

    Args:
        dataset: The shards.
        streams: Best the number of processes, or a multiple of it: a process then reads
            `streams / processes` streams, and no shard at the same time as another process.
        window: Samples of a stream that are shuffled together; by default two shards' worth.
        seed: As in MMEngine's samplers; the runner gives its own.

    Raises:
        InputError: If the dataset has no shards, or fewer samples than streams or processes.
        ValueError: If a number is not positive.
    """

    def __init__(
        self,
        dataset: ImageTextShards,
        streams: int = 1,
        window: int = 20_000,
        seed: int | None = None,
    ) -> None:
        check_positive('streams', streams)
        check_positive('window', window)
        if not isinstance(dataset, ImageTextShards):
            raise InputError(
                f'ShardSampler: expected a dataset of ImageTextShards, got {type(dataset).__name__}'
            )
        self.ends = dataset.ends
        self.streams = streams
        self.window = window
        self.seed = seed or 0
        self.epoch = 0
        self.rank, self.world_size = get_dist_info()
        self.length = int(self.ends[-1]) // streams  # samples of a stream
        if len(self) == 0:
            raise InputError(
                f'ShardSampler: expected at least {max(streams, self.world_size)} samples, one for '
                f'each stream and process, got {self.ends[-1]}'
            )

    def __len__(self) -> int:
        return self.length * self.streams // self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, on which the order depends."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        shards = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.ends))
        windows: dict[int, tuple[int, list[int]]] = {}
        for turn in range(len(self)):
            index, stream = divmod(turn * self.world_size + self.rank, self.streams)
            number, place = divmod(index, self.window)
            if stream not in windows or windows[stream][0] != number:
                windows[stream] = number, self._window(shards, stream, number)
            yield windows[stream][1][place]

    def _window(self, shards: np.ndarray, stream: int, number: int) -> list[int]:
        """Returns the samples of a window of a stream in their order."""
        starts = np.append(0, self.ends)
        lengths = np.diff(starts)[shards]
        behind = np.cumsum(lengths)  # where the shards end in the row of this epoch
        first = number * self.window
        count = min(self.window, self.length - first)
        rng = np.random.default_rng((self.seed, self.epoch, stream, number))
        row = stream * self.length + first + rng.permutation(count)
        place = np.searchsorted(behind, row, side='right')
        return (starts[shards[place]] + row - (behind - lengths)[place]).tolist()
