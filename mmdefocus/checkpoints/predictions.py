"""Predictions, as `DumpResults` of MMEngine and mmdet writes them, read as data.

A tensor in them is a call that takes a file of PyTorch's old format, as bytes.
"""

from io import BytesIO
from typing import IO, Any

from ..utils.errors import InputError
from .legacy_file import no_storage, read_stream
from .pickle_data import read_pickle
from .pickle_names import BUILDERS, Storage


def read_predictions(file: IO[bytes]) -> Any:
    """Reads a pickle of predictions from where the file stands.

    Args:
        file: A binary file.

    Returns:
        Tensors, NumPy's arrays and numbers, and plain containers of them.

    Raises:
        InputError: If the file is damaged, or holds more than data.
    """
    try:
        return read_pickle(file, no_storage, _BUILDERS)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails in many ways
        raise InputError('cannot be read; its pickle is damaged') from error


def _storage(content: Any) -> Storage:
    if not isinstance(content, bytes):
        raise InputError('refused, because it holds a tensor that is not a plain one')
    storage = read_stream(BytesIO(content), bytearray(content))
    if not isinstance(storage, Storage):
        raise InputError('refused, because it holds a tensor that is not a plain one')
    return storage


_BUILDERS = {**BUILDERS, 'torch.storage._load_from_bytes': _storage}
