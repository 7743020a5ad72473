"""Libraries that come with the package, in a wheel that was built with them.

There is one for each instruction set of `MARCH`, and none in a checkout of the sources.
"""

from pathlib import Path

import torch

FOLDER = Path(__file__).with_name('libraries')
# the flag of the compiler for each capability that torch tells of an x86-64 CPU
MARCH = {
    'AVX512': '-march=x86-64-v4',
    'AVX2': '-march=x86-64-v3',
    'DEFAULT': '-march=x86-64',
}


def place(folder: Path, capability: str) -> Path:
    """Returns where the library for a capability belongs in a folder of libraries."""
    return folder / f'operators-{capability.lower()}.so'


def find() -> Path | None:
    """Returns the library for this CPU, if the package came with one.

    ATEN_CPU_CAPABILITY, which torch reads, chooses that of a simpler CPU.
    """
    library = place(FOLDER, torch.backends.cpu.get_cpu_capability())
    return library if library.is_file() else None
