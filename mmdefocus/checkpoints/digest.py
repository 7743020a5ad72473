"""A digest of all that a checkpoint holds, written behind it and compared when it is read.

It stands in the comment of the zip file, which other programs ignore. It covers names, sizes and
checksums of the records, and so the records themselves: each one is compared with its checksum.
"""

import hashlib
import re
import struct
import zipfile
from collections.abc import Iterable
from mmap import mmap
from pathlib import Path

LABEL = b'mmdefocus sha256 '
_COMMENT = re.compile(re.escape(LABEL) + rb'([0-9a-f]{64})\Z')
_COMMENT_SIZE = len(LABEL) + 64
_END = struct.Struct('<4s4H2IH')  # the end of a zip file, before its comment


def records_digest(records: Iterable[tuple[str, int, int]]) -> str:
    """Returns the SHA-256 of names, sizes in bytes and CRC-32 of records, in any order."""
    lines = sorted(f'{name} {size} {checksum:08x}\n' for name, size, checksum in records)
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


def read_digest(content: bytes | mmap) -> str | None:
    """Returns the digest at the end of a zip file, None if it has none."""
    found = _COMMENT.search(content[-_COMMENT_SIZE:])
    return found[1].decode() if found else None


def add_digest(path: Path) -> None:
    """Writes the digest of an archive of PyTorch, which has none yet, behind it."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    records = ((e.filename.partition('/')[2], e.file_size, e.CRC) for e in entries)
    comment = LABEL + records_digest(records).encode()
    with path.open('r+b') as file:
        file.seek(-_END.size, 2)
        end = _END.unpack(file.read())
        file.seek(-_END.size, 2)
        file.write(_END.pack(*end[:-1], len(comment)) + comment)
