"""What the names in a checkpoint stand for: builders of plain data, each with checked arguments."""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.errors import InputError

MAX_VIEWS = 64  # how often the numbers of a storage may occur in tensors, as shared weights do

DTYPES = {
    'torch.DoubleStorage': torch.float64,
    'torch.FloatStorage': torch.float32,
    'torch.HalfStorage': torch.float16,
    'torch.BFloat16Storage': torch.bfloat16,
    'torch.LongStorage': torch.int64,
    'torch.IntStorage': torch.int32,
    'torch.ShortStorage': torch.int16,
    'torch.CharStorage': torch.int8,
    'torch.ByteStorage': torch.uint8,
    'torch.BoolStorage': torch.bool,
}

# Names that stand for a value and are not called.
CONSTANTS = {str(dtype): dtype for dtype in DTYPES.values()}


class Name(str):
    """A class or function that a file names. It is text and cannot be called."""


class Storage:
    """The numbers of one or more tensors.

    Args:
        values: The numbers, one-dimensional.
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._viewed = 0

    def view(self, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        """Returns a tensor over the numbers.

        Raises:
            InputError: If it would reach outside of them, or they occur in too many tensors.
        """
        if not all(map(_is_size, (offset, *shape, *stride))) or len(shape) != len(stride):
            raise InputError(f'refused, because a tensor has shape {shape!r:.80}')
        count, stored = math.prod(shape), len(self._values)
        last = offset + sum((s - 1) * step for s, step in zip(shape, stride, strict=True))
        if count and last >= stored:
            raise InputError(
                f'refused, because a tensor of shape {shape!r:.80} reaches outside its storage of '
                f'{stored} numbers'
            )
        self._viewed += count
        if self._viewed > MAX_VIEWS * stored:
            raise InputError(
                f'refused, because {stored} numbers occur in tensors of {self._viewed} numbers'
            )
        if not count:
            return self._values.new_empty(shape)
        return self._values.as_strided(shape, stride, offset)


@dataclass
class History:
    """The values of a logged number, as MMEngine's HistoryBuffer has them.

    Attributes:
        values: Float or integer `(N,)`.
        counts: How many samples each value is for, `(N,)`.
        max_length: How many values are kept at most.
    """

    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    max_length: int = 1_000_000

    def set_state(self, state: Any) -> None:
        """Takes the state of a HistoryBuffer; its functions are left out.

        Raises:
            InputError: If it is something else.
        """
        state = state if isinstance(state, dict) else {}
        values, counts = state.get('_log_history'), state.get('_count_history')
        arrays = isinstance(values, np.ndarray) and isinstance(counts, np.ndarray)
        length = state.get('max_length')
        if not arrays or values.shape != counts.shape or values.ndim != 1 or not _is_size(length):
            raise InputError('refused, because it holds a damaged HistoryBuffer')
        self.values, self.counts, self.max_length = values, counts, length


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> Tensor:
    """Makes a tensor; whether it needs gradients and what is called then is left out."""
    plain = isinstance(storage, Storage) and type(shape) is tuple and type(stride) is tuple
    if not plain or len(rest) > 3 or (len(rest) == 3 and rest[2]):
        raise InputError('refused, because it holds a tensor that is not a plain one')
    return storage.view(offset, tuple(shape), tuple(stride))


def _parameter(data: Any, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor) or len(rest) > 2:
        raise InputError('refused, because it holds a parameter without a tensor')
    return data


def _dtype(code: Any, *_: Any) -> np.dtype:
    """Makes a dtype of numbers, such as 'f8'; objects and structures are no numbers."""
    if not isinstance(code, str) or code.lstrip('<|=') not in _NUMBERS:
        raise InputError(f'refused, because it holds an array of {code!r:.40}')
    return np.dtype(code)


_NUMBERS = ('b1', *(f'{kind}{size}' for kind in 'iu' for size in (1, 2, 4, 8)), 'f2', 'f4', 'f8')


def _array(*_: Any) -> np.ndarray:
    """Makes an empty array, which `fill_array` fills."""
    return np.zeros(0)


def fill_array(array: np.ndarray, state: Any) -> None:
    """Gives an array its shape, dtype and numbers.

    Raises:
        InputError: If they do not fit each other.
    """
    match state:
        case (int(), tuple() as shape, np.dtype() as dtype, bool() as by_column, bytes() as data):
            fits = all(map(_is_size, shape)) and len(shape) <= 32
            if fits and math.prod(shape) * dtype.itemsize == len(data):
                array.__setstate__((1, shape, dtype, by_column, data))  # type: ignore[arg-type]
                return
    raise InputError('refused, because it holds a damaged array')


def _array_of(data: bytes | bytearray, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    array = _array()
    fill_array(array, (1, shape, dtype, order == 'F', bytes(data)))
    return array


def _number(dtype: Any, data: Any) -> Any:
    array = _array()
    fill_array(array, (1, (), dtype, False, data))
    return array[()]


def _encode(text: Any, encoding: Any = 'latin1') -> bytes:
    """Makes bytes, as they are written for Python 2."""
    if not isinstance(text, str) or encoding not in ('latin1', 'latin-1'):
        raise InputError('refused, because it holds text that is no bytes')
    return text.encode('latin1')


def _dictionary(*arguments: Any) -> OrderedDict:
    """Makes a dict of a dict, or of pairs; for a class of dicts, its settings are left out."""
    (content,) = arguments or ({},)
    if isinstance(content, list):
        content = dict(map(tuple, content))
    if not isinstance(content, dict):
        raise InputError('refused, because it holds a damaged dict')
    return OrderedDict(content)


def _default_dictionary(factory: Any = None, *arguments: Any) -> OrderedDict:
    return _dictionary(*arguments)


def _collection(kind: type) -> Callable[..., Any]:
    def build(*arguments: Any) -> Any:
        (items,) = arguments or ((),)
        if not isinstance(items, (list, tuple, set, frozenset)):
            raise InputError(f'refused, because it holds a damaged {kind.__name__}')
        return kind(items)

    return build


def _size(*arguments: Any) -> torch.Size:
    shape = _collection(tuple)(*arguments)
    if not all(map(_is_size, shape)):
        raise InputError('refused, because it holds a damaged torch.Size')
    return torch.Size(shape)


def _device(kind: Any, index: Any = None) -> torch.device:
    if kind not in ('cpu', 'cuda', 'mps', 'meta', 'xpu') or not (index is None or _is_size(index)):
        raise InputError(f'refused, because it holds a device {kind!r:.40}')
    return torch.device(kind) if index is None else torch.device(kind, index)


def _method(owner: Any, name: Any) -> Name:
    """Stands for a method of HistoryBuffer, which writes its statistics into each checkpoint."""
    if owner != HISTORY or type(name) is not str:
        raise InputError(f'refused, because its pickle takes an attribute of {owner!r:.80}')
    return Name(f'{owner}.{name}')


def _not_called(*_: Any) -> None:
    raise InputError('refused, because its pickle calls what is no function of checkpoints')


def module_versions(metadata: Mapping[Any, Any]) -> OrderedDict:
    """Checks the versions of modules that PyTorch keeps with a dict of weights.

    Raises:
        InputError: If they are something else.
    """
    for name, entry in metadata.items():
        known = isinstance(name, str) and isinstance(entry, dict)
        if not known or not isinstance(entry.get('version'), (int, type(None))):
            raise InputError('refused, because it holds damaged versions of modules')
    return OrderedDict(metadata)


HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_CORES = ('numpy.core', 'numpy._core')
_BUILTINS = ('builtins', '__builtin__')

BUILDERS: dict[str, Callable[..., Any]] = {
    'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor,
    'torch._utils._rebuild_parameter': _parameter,
    'torch.Size': _size,
    'torch.device': _device,
    'collections.OrderedDict': _dictionary,
    'collections.Counter': lambda *counts: Counter(_dictionary(*counts)),
    'collections.defaultdict': _default_dictionary,
    'collections.deque': lambda items=(), length=None: _collection(list)(items),
    'mmengine.config.config.ConfigDict': _dictionary,
    'yacs.config.CfgNode': _dictionary,
    HISTORY: lambda: History(),
    '_codecs.encode': _encode,
    'numpy.dtype': _dtype,
    'numpy.ndarray': _not_called,
    **{f'{core}.multiarray._reconstruct': _array for core in _CORES},
    **{f'{core}.multiarray.scalar': _number for core in _CORES},
    **{f'{core}.numeric._frombuffer': _array_of for core in _CORES},
    **{f'{module}.getattr': _method for module in _BUILTINS},
    **{f'{module}.bytes': lambda: b'' for module in _BUILTINS},
    **{f'{module}.slice': lambda *ends: slice(*ends) for module in _BUILTINS},
    **{f'{module}.set': _collection(set) for module in _BUILTINS},
    **{f'{module}.frozenset': _collection(frozenset) for module in _BUILTINS},
    **{f'{module}.{kind}': _not_called for module in _BUILTINS for kind in ('dict', 'int', 'list')},
    **{f'{name}': _not_called for name in DTYPES},
}
