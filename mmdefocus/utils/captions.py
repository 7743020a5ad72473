"""Captions as tokens, by the vocabulary of CLIP, which the wheel of open_clip holds."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor

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


@cache
def _tokenizer() -> Any:
    return open_clip().SimpleTokenizer()
