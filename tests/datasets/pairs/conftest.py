import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest


def jpeg(value: int) -> bytes:
    return cv2.imencode('.jpg', np.full((8, 8, 3), value, np.uint8))[1].tobytes()


@pytest.fixture
def write_shard():
    """Writes members, by their names, as a tar file."""

    def write(path: Path, members: dict[str, bytes]) -> Path:
        with tarfile.open(path, 'w') as tar:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return path

    return write


@pytest.fixture
def members():
    """Members of so many whole samples, the first with a given number."""

    def make(count: int, first: int = 0) -> dict[str, bytes]:
        return {
            f'{number:04d}.{suffix}': data
            for number in range(first, first + count)
            for suffix, data in (
                ('jpg', jpeg(10 * number)),
                ('txt', f'caption {number}'.encode()),
                ('json', b'{}'),
            )
        }

    return make
