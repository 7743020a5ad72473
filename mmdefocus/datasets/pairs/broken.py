"""Samples that cannot be read: counted, named in the log, and too many of them an error."""

import logging
from collections.abc import Callable
from multiprocessing import Value
from typing import TypeVar

from mmengine.logging import print_log

from ...utils.errors import InputError

Sample = TypeVar('Sample')


class BrokenSamples:
    """Counts broken samples, in all worker processes together.

    A sample counts each time that it is read.

    Args:
        limit: The count from which on reading stops with an error.
    """

    def __init__(self, limit: int) -> None:
        if limit < 0:
            raise InputError(f'max_broken: expected 0 or more, got {limit}')
        self.limit = limit
        self._count = Value('q', 0)

    @property
    def count(self) -> int:
        """Broken samples so far."""
        return self._count.value

    def add(self, reason: str, number: int = 1) -> None:
        """Counts broken samples and says in the log why they are.

        Raises:
            InputError: If there are more than the limit.
        """
        with self._count.get_lock():
            self._count.value += number
            count = self._count.value
        print_log(f'left out ({count} so far): {reason}', 'current', logging.WARNING)
        if count > self.limit:
            raise InputError(
                f'{count} broken samples, more than max_broken={self.limit}; the last: {reason}'
            )

    def first_whole(self, read: Callable[[int], Sample], index: int, length: int) -> Sample:
        """Returns a sample, or where it is broken the first whole one that follows.

        Which one takes its place depends on the data alone, so that a resumed run reads the same.

        Args:
            read: Returns a sample by its index, or raises an InputError.
            index: Of the wanted sample.
            length: Of the dataset; after its last sample comes its first.

        Raises:
            InputError: If there are more broken samples than the limit, or no others.
        """
        for step in range(length):
            try:
                return read((index + step) % length)
            except InputError as error:
                self.add(str(error))
        raise InputError(f'expected a whole sample, got {length} broken ones')
