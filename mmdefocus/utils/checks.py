"""Checks of arguments, each with one line that names the argument."""

from collections.abc import Collection, Iterable
from numbers import Integral, Real
from os import PathLike

from .errors import InputError


def check_texts(name: str, values: object) -> list[str]:
    """Returns several texts as a list.

    Raises:
        InputError: If they are a single text, whose letters would be taken for them, or not texts.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f'{name}: expected a list of texts, got {values!r}')
    texts = list(values)
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f'{name}: expected texts, got {text!r} among them')
    return texts


def check_path(name: str, value: object) -> None:
    """Raises an InputError if a value is no path, or empty, which would be the current folder."""
    if not isinstance(value, str | PathLike) or not str(value).strip():
        raise InputError(f'{name}: expected a path, got {value!r}')


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raises a ValueError if the value of an argument is none of the choices."""
    if value not in choices:
        raise ValueError(f'{name}: expected one of {", ".join(choices)}, got {value!r}')


def check_positive(name: str, value: float) -> None:
    """Raises a ValueError if a number is zero or negative."""
    if not value > 0:
        kind = 'int' if isinstance(value, int) else 'number'
        raise ValueError(f'{name}: expected a positive {kind}, got {value}')


def check_positive_int(name: str, value: object) -> None:
    """Raises a ValueError if a value is no int, or not above zero."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f'{name}: expected a positive int, got {value!r}')


def check_divides(name: str, divisor: int, whole_name: str, whole: int) -> None:
    """Raises a ValueError if a number is not positive, or does not divide another without rest."""
    if divisor < 1 or whole % divisor:
        raise ValueError(
            f'{name}: expected a positive number that divides {whole_name} {whole}, got {divisor}'
        )


def check_multiple(name: str, value: int, factor: int) -> None:
    """Raises a ValueError if a number is not positive, or no multiple of a factor."""
    if value < 1 or value % factor:
        raise ValueError(f'{name}: expected a positive multiple of {factor}, got {value}')


def check_share(name: str, value: object) -> None:
    """Raises a ValueError if a value is no number in [0, 1]."""
    if not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f'{name}: expected a number in [0, 1], got {value!r}')


def check_rate(name: str, value: float) -> None:
    """Raises a ValueError if a probability of dropping is not in [0, 1)."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f'{name}: expected a number in [0, 1), got {value}')
