"""What a dataset holds: counted, with what it leaves out."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Contents:
    """The images and objects of a dataset, and what it leaves out.

    Attributes:
        source: The file or folder that it was read from.
        labels: The names that the numbers 0, 1, … stand for.
        order: The names in the order of the file or folder.
        images: Path of each image that is used, with width and height in pixels where the
            annotation states them.
        in_memory: How many further images are used that are no files.
        objects: How often each label is used.
        left_out: How much is not used, by the reason.
        notes: Further counts that a reader should know.
        ids: The ids of all images of the source, where they have ids.
    """

    source: str
    labels: tuple[str, ...]
    order: tuple[str, ...] = ()
    images: list[tuple[str, tuple[float, float] | None]] = field(default_factory=list)
    in_memory: int = 0
    objects: Counter = field(default_factory=Counter)
    left_out: Counter = field(default_factory=Counter)
    notes: Counter = field(default_factory=Counter)
    ids: frozenset = frozenset()

    @property
    def num_images(self) -> int:
        """How many images are used."""
        return len(self.images) + self.in_memory
