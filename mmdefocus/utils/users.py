"""Users whom the system does not know, as in containers that run under any number."""

import getpass
import os


def know_user() -> None:
    """Sets USER and HOME where neither the environment nor the system has them.

    PyTorch asks for the name when `torchvision` is imported, and MMEngine for the home when it
    writes a config; both would end in an error. The name becomes a number, the home `/`, as in
    containers.
    """
    try:
        getpass.getuser()
    except (ImportError, KeyError, OSError):
        os.environ['USER'] = f'user{os.getuid()}' if os.name == 'posix' else 'user'
    if not os.path.isabs(os.path.expanduser('~')):
        os.environ['HOME'] = os.sep
