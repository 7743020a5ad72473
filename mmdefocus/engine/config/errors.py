"""Explains what goes wrong while a config is built: which key of it, and what was expected."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_tb, walk_tb

from mmengine.config import Config
from mmengine.config.utils import ConfigParsingError
from mmengine.registry import Registry

from ...utils.config_keys import config_name, nearest
from ...utils.errors import InputError, explain, one_line
from .check import dicts
from .places import place_of

EXPLAINED = (
    *(TypeError, LookupError, AssertionError, ValueError, AttributeError, RuntimeError),
    ImportError,
)
# What is wrong with a config file, in words that need no class of error before them.
PLAIN = (ConfigParsingError, ImportError, NameError, OSError, SyntaxError)
# What is said of a value that should be a dict or a module, and of a sample that a pipeline has
# not filled.
OF_A_VALUE = re.compile(
    r"'(NoneType|str|int|float|bool|list|tuple|dict|ConfigDict|\w*DataSample|InstanceData)' object "
    'has no attribute'
)
# Words of torch's errors about tensors that do not fit each other.
SIZES = ('shape', 'size', 'channels', 'elements', 'out of bounds')
SHOW_ALL = 'MMDEFOCUS_TRACEBACK=1 shows where'


@contextmanager
def config_errors(cfg: Config) -> Iterator[None]:
    """Turns what goes wrong while a config is built into an `InputError` that names the key."""
    try:
        yield
    except InputError:
        raise
    except EXPLAINED as error:
        message = (
            _unknown_argument(error, cfg)
            or _unknown_type(error)
            or _bad_value(error)
            or _bad_entry(error, cfg)
        )
        if message is None:
            raise
        raise InputError(message) from error


def config_fault(error: Exception) -> str:
    """Says what is wrong with a config file, and in which line where it is the file that failed."""
    text = one_line(error) if isinstance(error, PLAIN) else _named(error)
    if isinstance(error, ImportError):
        causes: list[BaseException] = [error]
        while cause := causes[-1].__cause__ or causes[-1].__context__:
            causes.append(cause)
        failed, _, _ = one_line(error).partition(',')
        text = f'{failed}: {causes[-1]}'
    last = extract_tb(error.__traceback__)[-1]
    of_library = any(place in last.filename for place in ('site-packages', '<frozen', 'lib/python'))
    return text if of_library else f'{last.filename}, line {last.lineno}: {text}'


def _named(error: Exception) -> str:
    """Returns the class of an error and its message; for an assertion without one, its code."""
    text = one_line(error) if str(error) else extract_tb(error.__traceback__)[-1].line
    return f'{type(error).__name__}: {text}'


def _unknown_argument(error: Exception, cfg: Config) -> str | None:
    """Explains a call with a keyword that comes from the config and that its callee lacks."""
    match = re.match(r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if not isinstance(error, TypeError) or match is None:
        return None
    callee, key = match.groups()
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    by_mmengine = frames[-1].f_globals['__name__'].startswith('mmengine.')
    if not (by_mmengine or callee.endswith('__init__')) or not _has_key(cfg, key):
        return None
    name = callee.removesuffix('.__init__')
    target = _find_class(name, frames)
    names = _arguments(target) if target else []
    shown = target.__name__ if inspect.isclass(target) else name
    return f'{config_name(cfg)}: {shown} has no argument {key!r}{nearest(key, names)}' + (
        f'; it takes {", ".join(names)}' if names else ''
    )


def _unknown_type(error: Exception) -> str | None:
    """Explains a `type` that no registry has, or a dict without one."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else ''
    match = re.match(r'(\S+) is not in the (.+?) registry', str(text))
    if match:
        names: set[str] = set()
        for frame, _ in walk_tb(error.__traceback__):
            registry = frame.f_locals.get('registry')
            if isinstance(registry, Registry):
                names.update(_registered(registry.root))
        return f'type {match[1]!r} is not registered ({match[2]}){nearest(match[1], names)}'
    if str(text).startswith('`cfg` or `default_args` must contain the key "type"'):
        return f'the config has a part without a `type`: {str(text).partition("but got ")[2]}'
    return None


def _bad_value(error: Exception) -> str | None:
    """Explains a value that a class refuses while it is built, and an image mmcv cannot load."""
    if not isinstance(error, (ValueError, AssertionError)) or not str(error):
        return None
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        built = frame.f_locals.get('obj_cls')
        if frame.f_code.co_name == 'build_from_cfg' and inspect.isclass(built):
            name, text = f'{built.__name__}: ', one_line(error)
            return name + text.removeprefix(name)  # some say themselves who they are
    by_runner = frames[-1].f_globals['__name__'] == 'mmengine.runner.runner'
    return one_line(error) if by_runner or 'failed to load image' in str(error) else None


def _bad_entry(error: Exception, cfg: Config) -> str | None:
    """Explains what a config or an image has wrong, by the part that meets it."""
    if isinstance(error, AttributeError) and not OF_A_VALUE.match(str(error)):
        return None
    if explain(error):
        return None  # it names what is wrong
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    what = _named(error)
    if isinstance(error, ImportError):
        return f'{config_name(cfg)}: {one_line(error)}'
    of_sizes = isinstance(error, RuntimeError) and any(word in str(error) for word in SIZES)
    if isinstance(error, RuntimeError) and not of_sizes:
        return None
    for frame in reversed(frames):
        results, built = frame.f_locals.get('results'), frame.f_locals.get('obj_cls')
        if isinstance(results, dict) and 'img_path' in results:
            return f'{results["img_path"]}: {what}'
        if frame.f_code.co_name == 'build_from_cfg' and inspect.isclass(built):
            return f'{config_name(cfg)}: {built.__name__}: {what}'
    place = place_of(frames)
    return f'{config_name(cfg)}: {place}: {what}; {SHOW_ALL}' if place else None


def _find_class(name: str, frames: list) -> object | None:
    """Finds what a TypeError names: the class that the config names, if it inherits from it."""
    first, *rest = name.split('.')
    for frame in reversed(frames):
        built = frame.f_locals.get('obj_cls')
        if inspect.isclass(built) and name in {base.__name__ for base in built.__mro__}:
            return built
    for frame in reversed(frames):
        found = frame.f_globals.get(first)
        for attribute in rest:
            found = getattr(found, attribute, None)
        if callable(found):
            return found
    return None


def _arguments(target: object) -> list[str]:
    """Returns the argument names of a class with those that its **kwargs pass to its bases."""
    names: list[str] = []
    for function in _constructors(target):
        parameters = inspect.signature(function).parameters.values()
        names += [
            p.name
            for p in parameters
            if p.name not in ('self', *names) and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return names


def _constructors(target: object) -> list:
    if not inspect.isclass(target):
        return [target]
    return [vars(base)['__init__'] for base in target.__mro__ if '__init__' in vars(base)]


def _registered(registry: Registry) -> Iterator[str]:
    yield from registry.module_dict
    for child in registry.children.values():
        yield from _registered(child)


def _has_key(cfg: Config, key: str) -> bool:
    return any(key in node for node in dicts(cfg._cfg_dict))
