"""Reads a pickle as data, with an interpreter of its own that never calls what the file names.

A pickle is a program for a machine with a stack. This interpreter knows the operations that
`torch.save` writes and refuses the others. A name in the file is looked up in `pickle_names`, whose
builders make tensors, arrays and plain containers; an unknown name ends the reading.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import IO, Any

import numpy as np

from ..utils.errors import InputError
from .pickle_names import BUILDERS, CONSTANTS, History, Name, Storage, fill_array, module_versions

MAX_DEPTH = 100  # of containers in containers; checkpoints have fewer than ten
MAX_ITEMS = 50_000_000  # in all containers; one that occurs twice counts twice, as when printed

# Makes a storage of the name of its class, its key in the file and its number of elements.
FindStorage = Callable[[str, str, int], Storage]

_MARK = object()
_PUSH = (
    *('BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT'),
    *('BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINSTRING', 'SHORT_BINSTRING'),
    *('BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8'),
)
_NEW: dict[str, Callable[[], Any]] = {
    'NONE': lambda: None,
    'NEWTRUE': lambda: True,
    'NEWFALSE': lambda: False,
    'EMPTY_TUPLE': tuple,
    'EMPTY_LIST': list,
    'EMPTY_DICT': dict,
    'EMPTY_SET': set,
}
_CONTAINERS = (tuple, list, dict, set, frozenset)


def read_pickle(
    file: IO[bytes],
    find_storage: FindStorage,
    builders: Mapping[str, Callable[..., Any]] = BUILDERS,
) -> Any:
    """Reads one pickle from where the file stands, and leaves the file behind its end.

    Args:
        file: A binary file.
        find_storage: Gives the numbers of a tensor. They are not part of the pickle.
        builders: What makes the objects of the file, by the names in it.

    Returns:
        Tensors, NumPy's arrays and numbers, `History`, and plain containers of them.

    Raises:
        InputError: If the pickle has an operation, a name or an argument that no checkpoint has.
        ValueError: If it is cut short.
    """
    return _Machine(find_storage, builders).run(file)


class _Machine:
    def __init__(
        self, find_storage: FindStorage, builders: Mapping[str, Callable[..., Any]]
    ) -> None:
        self._find_storage = find_storage
        self._builders = builders
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        # By identity; the object is kept, so that no other one gets its identity.
        self._extents: dict[int, tuple[int, int, Any]] = {}
        self._finished: dict[int, Any] = {}

    def run(self, file: IO[bytes]) -> Any:
        stack, memo = self._stack, self._memo
        argument: Any
        for opcode, argument, _ in pickletools.genops(file):
            name = opcode.name
            if name in _PUSH_SET:
                stack.append(argument)
            elif name in ('BINPUT', 'LONG_BINPUT'):
                memo[argument] = stack[-1]
            elif name in ('BINGET', 'LONG_BINGET'):
                stack.append(memo[argument])
            elif name == 'MEMOIZE':
                memo[len(memo)] = stack[-1]
            elif name == 'MARK':
                stack.append(_MARK)
            elif name in _NEW:
                stack.append(_NEW[name]())
            elif name in _OPERATIONS:
                _OPERATIONS[name](self, argument)
            elif name not in ('PROTO', 'FRAME', 'STOP'):
                raise InputError(f'refused, because its pickle has the operation {name}')
        result = stack.pop()
        if stack or result is _MARK:
            raise InputError('cannot be read; its pickle is damaged')
        return result

    def global_name(self, argument: str) -> None:
        self._push_name(argument.replace(' ', '.', 1))

    def stack_global(self, _: None) -> None:
        module, name = self._pop(2)
        self._push_name(f'{module}.{name}')

    def reduce(self, _: None) -> None:
        """Makes what a known name stands for; a class and a function are treated alike."""
        name, arguments = self._pop(2)
        if not isinstance(name, Name) or type(arguments) is not tuple or name not in self._builders:
            raise InputError(f'refused, because its pickle calls {name!r:.80}')
        self._stack.append(self._contain(self._builders[name](*arguments), arguments))

    def build(self, _: None) -> None:
        """Gives an object its state."""
        target, state = self._pop(2)
        if isinstance(target, OrderedDict):
            # PyTorch keeps versions of modules here; other classes of dicts keep their settings.
            metadata = state.get('_metadata') if isinstance(state, dict) else None
            if isinstance(metadata, dict):
                target._metadata = module_versions(metadata)  # type: ignore[attr-defined]
        elif isinstance(target, History):
            target.set_state(state)
        elif isinstance(target, np.ndarray):
            fill_array(target, state)
        elif isinstance(target, np.dtype):
            if type(state) is not tuple or state[1:5] not in _PLAIN_DTYPE_STATES:
                raise InputError('refused, because it holds an array of structures or big-endian')
        else:
            raise InputError(f'refused, because its pickle sets the state of {target!r:.80}')
        self._change(target, (state,))
        self._stack.append(target)

    def find_storage(self, _: None) -> None:
        (identifier,) = self._pop(1)
        match identifier:
            case ('storage', Name() as kind, str() as key, str(), int() as count, *views):
                if views in ([], [None]):
                    self._stack.append(self._find_storage(str(kind), key, count))
                    return
        raise InputError(f'refused, because it refers to {identifier!r:.80}')

    def append(self, _: None) -> None:
        (item,) = self._pop(1)
        self._extend([item])

    def appends(self, _: None) -> None:
        self._extend(self._pop_to_mark())

    def add_items(self, _: None) -> None:
        items, target = self._pop_to_mark(), self._top(set)
        self._change(target, items)
        target.update(items)

    def set_item(self, _: None) -> None:
        self._update(self._pop(2))

    def set_items(self, _: None) -> None:
        self._update(self._pop_to_mark())

    def make_tuple(self, _: None) -> None:
        self._push_tuple(self._pop_to_mark())

    def make_tuple1(self, _: None) -> None:
        self._push_tuple(self._pop(1))

    def make_tuple2(self, _: None) -> None:
        self._push_tuple(self._pop(2))

    def make_tuple3(self, _: None) -> None:
        self._push_tuple(self._pop(3))

    def make_frozenset(self, _: None) -> None:
        items = self._pop_to_mark()
        self._stack.append(self._contain(frozenset(items), items))

    def _push_name(self, name: str) -> None:
        if name in CONSTANTS:
            self._stack.append(CONSTANTS[name])
        elif name in self._builders:
            self._stack.append(Name(name))
        else:
            raise InputError(
                f'refused, because it holds {name:.80}; expected tensors and plain containers alone'
            )

    def _pop(self, count: int) -> list[Any]:
        items = self._stack[-count:]
        if len(items) < count or any(item is _MARK for item in items):
            raise InputError('cannot be read; its pickle is damaged')
        del self._stack[-count:]
        return items

    def _pop_to_mark(self) -> list[Any]:
        stack, items = self._stack, []
        while (item := stack.pop()) is not _MARK:
            items.append(item)
        items.reverse()
        return items

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise InputError('cannot be read; its pickle is damaged')
        return self._stack[-1]

    def _extend(self, items: list[Any]) -> None:
        target = self._top(list)
        self._change(target, items)
        target.extend(items)

    def _update(self, items: list[Any]) -> None:
        target = self._top(dict)
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values) or not all(isinstance(key, Hashable) for key in keys):
            raise InputError('cannot be read; its pickle is damaged')
        self._change(target, items)
        target.update(zip(keys, values, strict=True))

    def _push_tuple(self, items: list[Any]) -> None:
        self._stack.append(self._contain(tuple(items), items))

    def _change(self, target: Any, items: list[Any] | tuple) -> None:
        """Notes that a container gets items; one that is itself an item never changes again.

        So there are no cycles, and no depth at which other programs would fail.
        """
        if id(target) in self._finished or any(item is target for item in items):
            raise InputError('refused, because it holds a container that contains itself')
        self._contain(target, items)

    def _contain(self, target: Any, items: list[Any] | tuple) -> Any:
        depth, size, _ = self._extents.get(id(target), (0, 0, None))
        size += len(items)
        for item in items:
            if isinstance(item, _CONTAINERS):
                self._finished[id(item)] = item
                inner_depth, inner_size, _ = self._extents.get(id(item), (0, 0, None))
                depth, size = max(depth, inner_depth + 1), size + inner_size
        if depth > MAX_DEPTH or size > MAX_ITEMS:
            raise InputError(
                f'refused, because it is nested more than {MAX_DEPTH} deep or holds more than '
                f'{MAX_ITEMS} items'
            )
        self._extents[id(target)] = (depth, size, target)
        return target


_PUSH_SET = frozenset(_PUSH)
_PLAIN_DTYPE_STATES = tuple((order, None, None, None) for order in '<|=')
_OPERATIONS: dict[str, Callable[['_Machine', Any], None]] = {
    'GLOBAL': _Machine.global_name,
    'STACK_GLOBAL': _Machine.stack_global,
    'REDUCE': _Machine.reduce,
    'NEWOBJ': _Machine.reduce,
    'BUILD': _Machine.build,
    'BINPERSID': _Machine.find_storage,
    'APPEND': _Machine.append,
    'APPENDS': _Machine.appends,
    'ADDITEMS': _Machine.add_items,
    'SETITEM': _Machine.set_item,
    'SETITEMS': _Machine.set_items,
    'TUPLE': _Machine.make_tuple,
    'TUPLE1': _Machine.make_tuple1,
    'TUPLE2': _Machine.make_tuple2,
    'TUPLE3': _Machine.make_tuple3,
    'FROZENSET': _Machine.make_frozenset,
}
