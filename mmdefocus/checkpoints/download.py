"""Fetches checkpoints into a folder of this machine, once, and compares them with their hash."""

import fcntl
import hashlib
import os
import re
import sys
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from urllib.request import urlopen

from ..utils.errors import InputError
from ..utils.files import replacing
from .hub import hub_address

TIMEOUT = 30  # seconds without an answer
CHUNK = 2**20  # bytes
MEBIBYTE = 2**20
REMOTE = re.compile(
    r'(https?|hf|(\S+:)?(s3|petrel)|pavi|modelzoo|torchvision|open-?mmlab|mmcls)://', re.IGNORECASE
)
MARKS = "%/:?[]@!$&'()*+,;=~"  # what stands in an address unquoted, beside letters and digits
# A hub says that nobody is authorized for a repository that does not exist.
NOT_PUBLIC = '; check the address, and copy a file that is not public to this machine by hand'
HASH_IN_NAME = re.compile(r'-([0-9a-f]{8,64})\.\w+\Z')
FRAGMENT = re.compile(r'sha256=([0-9a-fA-F]{64})\Z')


def is_remote(path: str | Path) -> bool:
    """Tells whether a path is an address that MMEngine would fetch; others are local files."""
    return isinstance(path, str) and REMOTE.match(path) is not None


def local_file(path: str | Path) -> Path:
    """Returns the local file of a path; that of an address is fetched, if it is not there yet.

    Args:
        path: A path, an address of http or https, a file on a hub (see `hub_address`), or a name
            that MMEngine has an address for, such as torchvision://resnet50. The hash in a name
            such as model-1a2b3c4d.pth is compared, and so is a whole one behind the address:
            `https://…/model.pth#sha256=…`.

    Raises:
        InputError: If the file cannot be fetched, or has another hash.
    """
    if not is_remote(path):
        return Path(os.path.expanduser(path))
    address, _, fragment = _address(str(path)).partition('#')
    address = quote(address, safe=MARKS, errors='surrogateescape')
    try:
        name = unquote(urlsplit(address).path).rpartition('/')[2]
    except ValueError as error:
        raise InputError(f'checkpoint {path}: expected an address of a file: {error}') from error
    if fragment and not FRAGMENT.match(fragment):
        raise InputError(f'checkpoint {path}: expected #sha256= and 64 digits, got #{fragment}')
    if name in ('', '.', '..') or '\0' in name:
        raise InputError(f'checkpoint {path}: expected an address of a file')
    expected = FRAGMENT.match(fragment) or HASH_IN_NAME.search(name)
    wanted = expected[1].lower() if expected else ''
    folder = cache_folder() / hashlib.sha256(address.encode()).hexdigest()[:16]
    destination = folder / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as lock:
        # The processes of one machine wait for the first one.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not destination.is_file():
            _fetch(address, destination, wanted)
        elif wanted and not _sha256(destination).startswith(wanted):
            raise InputError(
                f'checkpoint {path}: {destination} has another SHA-256 than {wanted}; delete it'
            )
    return destination


def cache_folder() -> Path:
    """Returns the folder of fetched checkpoints, in the user's cache.

    Raises:
        InputError: If the user has no home, as one that the system does not know.
    """
    given = os.environ.get('XDG_CACHE_HOME', '')
    cache = given if os.path.isabs(given) else os.path.expanduser('~/.cache')
    if not os.path.isabs(cache):
        raise InputError(
            'HOME: expected the home of this user, who has none; set XDG_CACHE_HOME to a folder '
            'that takes fetched checkpoints'
        )
    return Path(cache) / 'mmdefocus' / 'checkpoints'


def _address(path: str) -> str:
    """Returns the address of http or https behind a path or a name."""
    scheme, _, name = path.partition('://')
    scheme = scheme.lower()
    if scheme in ('http', 'https'):
        return f'{scheme}://{name}'
    if scheme == 'hf':
        return hub_address(path)
    from mmengine.runner import checkpoint as mmengine

    tables = {
        'modelzoo': mmengine.get_torchvision_models,
        'torchvision': mmengine.get_torchvision_models,
        'open-mmlab': mmengine.get_external_models,
        'openmmlab': mmengine.get_external_models,
        'mmcls': mmengine.get_mmcls_models,
    }
    if scheme not in tables:
        raise InputError(f'checkpoint {path}: cannot be fetched; copy it to a local file first')
    name = mmengine.get_deprecated_model_names().get(name, name)
    address = tables[scheme]().get(name, '')
    if not address.startswith(('http://', 'https://')):
        raise InputError(f'checkpoint {path}: MMEngine knows no address of this name')
    return address


def _fetch(address: str, destination: Path, wanted: str) -> None:
    """Writes what is at an address into a file, whole or not at all.

    Raises:
        InputError: If it breaks off, or has another hash than one that begins with `wanted`.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with urlopen(address, timeout=TIMEOUT) as answer, replacing(destination) as unfinished:
            length = answer.headers.get('Content-Length', '')
            announced = int(length) if length.isdigit() else None
            shown = f'{announced / MEBIBYTE:.1f} MiB' if announced is not None else 'unknown size'
            print(f'fetching {address} ({shown}) to {destination}', file=sys.stderr)
            with unfinished.open('wb') as file:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
            if announced is not None and size != announced:
                raise InputError(
                    f'checkpoint {address}: broke off after {size} of {announced} bytes; try again'
                )
            if not digest.hexdigest().startswith(wanted):
                raise InputError(
                    f'checkpoint {address}: its SHA-256 is {digest.hexdigest()}, expected {wanted}'
                )
    except InputError:
        raise
    except (HTTPException, OSError, ValueError) as error:
        reason = getattr(error, 'reason', error)
        hint = NOT_PUBLIC if getattr(error, 'code', None) in (401, 403, 404) else ''
        raise InputError(f'checkpoint {address}: cannot be fetched: {reason}{hint}') from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
