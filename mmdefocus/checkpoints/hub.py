"""Addresses of files on the Hugging Face hub: hf://org/name[@revision]/file.

The hub serves a file of a public repository at an address of its own; nothing but that address is
needed to read one, so that the download, its hash and the reader are those of any other address.
"""

import os
import re
from urllib.parse import quote, unquote

from ..utils.errors import InputError

PATH = re.compile(
    r'hf://(?P<org>[\w.-]+)/(?P<name>[\w.-]+)(@(?P<revision>[^/@#]+))?/(?P<file>[^#]+)'
    r'(?P<fragment>#.*)?',
    re.IGNORECASE,
)
HOST = 'https://huggingface.co'


def hub_address(path: str) -> str:
    """Returns the address of https behind a path such as hf://org/name@revision/model.safetensors.

    Args:
        path: The revision is a branch, a tag or a commit, with `%2F` for a slash in it; by default
            it is main. As a fetched file is kept, only a commit names the same file on every
            machine. A hash may follow as `#sha256=…`. The environment variable HF_ENDPOINT names
            another hub, as it does for the library of Hugging Face.

    Raises:
        InputError: If the path has another form.
    """
    parts = PATH.fullmatch(path)
    if parts is None or {'.', '..'} & set(parts['file'].split('/')):
        raise InputError(f'checkpoint {path}: expected hf://org/name[@revision]/file')
    host = os.environ.get('HF_ENDPOINT', HOST).rstrip('/')
    revision = quote(unquote(parts['revision'] or 'main'), safe='')
    file, fragment = quote(unquote(parts['file'])), parts['fragment'] or ''
    return f'{host}/{parts["org"]}/{parts["name"]}/resolve/{revision}/{file}{fragment}'
