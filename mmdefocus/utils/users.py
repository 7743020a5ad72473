"""Users whom the system does not know, as in containers that run under any number."""

import getpass
import os


def name_user() -> None:
    """Names the user by number, in the environment, where the system has no name.

    PyTorch asks for the name when `torchvision` is imported, and would end in a `KeyError`.
    """
    try:
        getpass.getuser()
    except (ImportError, KeyError, OSError):
        os.environ['USER'] = f'user{os.getuid()}' if os.name == 'posix' else 'user'
