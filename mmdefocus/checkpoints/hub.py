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
PLACE = ('org', 'name', 'revision', 'file')
NO_MODELS = ('datasets', 'spaces')  # what the hub has beside models, under names of no org
HOST = 'https://huggingface.co'


def hub_address(path: str) -> str:
    """Returns the address of https behind a path such as hf://org/name@revision/model.safetensors.

    Args:
        path: The revision is a branch, a tag or a commit, with `%2F` for a slash in it; by default
            it is main. As a fetched file is kept, only a commit names the same file on every
            machine. A hash may follow as `#sha256=…`. The environment variable HF_ENDPOINT names
            another hub, as it does for the library of Hugging Face.

    Raises:
        InputError: If the path has another form, leads out of the repository, or is one of a
            dataset or a space.
    """
    form = f'checkpoint {path}: expected hf://org/name[@revision]/file'
    parts = PATH.fullmatch(path)
    if parts is None:
        raise InputError(form)
    org, name, revision, file = place = [unquote(parts[key] or 'main') for key in PLACE]
    # An address with such a step would be one outside of the repository.
    if {'.', '..'} & {step for part in place for step in re.split(r'[/\\]', part)}:
        raise InputError(form)
    if org.lower() in NO_MODELS:
        raise InputError(f'{form} of a model; for a file in {org} give its address of https')
    host = os.environ.get('HF_ENDPOINT', HOST).rstrip('/')
    revision, file = _quoted(revision, safe=''), _quoted(file)
    return f'{host}/{org}/{name}/resolve/{revision}/{file}{parts["fragment"] or ""}'


def _quoted(text: str, safe: str = '/') -> str:
    return quote(text, safe, errors='surrogateescape')
