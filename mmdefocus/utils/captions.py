"""Captions as tokens, by the vocabulary of CLIP, which the wheel of open_clip holds."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor

from .checks import check_texts
from .errors import InputError

CONTEXT_LENGTH = 77  # tokens of a caption in CLIP, with those of its start and end
VOCAB_SIZE = 49408


def open_clip() -> ModuleType:
    """Returns the module `open_clip`, which takes a second to import and not everyone needs.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return import_module('open_clip')
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error}: CLIP needs open_clip; install it with pip install 'mmdefocus[clip]'"
        ) from error


def tokenize(texts: Sequence[str], context_length: int = CONTEXT_LENGTH) -> Tensor:
    """Returns the tokens of captions, int64 `(B, context_length)`, with zeros after the end.

    A longer caption is cut, as in CLIP: its last token is that of the end, the highest of all.

    Raises:
        InputError: If a caption is empty.
    """
    for text in texts:
        if not text.strip():
            raise InputError('caption: expected some text, got an empty one')
    return _tokenizer()(list(texts), context_length)


def check_length(texts: Sequence[str], context_length: int = CONTEXT_LENGTH) -> None:
    """Checks that texts are not cut by `tokenize`.

    Raises:
        InputError: Names the first text that is too long.
    """
    most = context_length - 2
    for text in texts:
        if (length := len(_tokenizer().encode(text))) > most:
            raise InputError(f'{text!r}: expected at most {most} tokens, got {length}; shorten it')


def check_templates(templates: object) -> list[str]:
    """Returns captions with a place for the name of a class as a list.

    Raises:
        InputError: If there are none, or one has not one `{}`.
    """
    texts = check_texts('templates', templates)
    if not texts:
        raise InputError(
            'templates: expected {} for the name of the class in some captions, got none'
        )
    for text in texts:
        if not _can_be_filled(text):
            raise InputError(
                f'templates: expected {{}} once, for the name of the class in {text!r}; '
                'write braces of the caption itself as {{ and }}'
            )
    return texts


def _can_be_filled(template: str) -> bool:
    try:
        return '{}' in template and bool(template.format('name'))
    except (AttributeError, LookupError, ValueError):  # further places, or half of one
        return False


@cache
def _tokenizer() -> Any:
    return open_clip().SimpleTokenizer()
