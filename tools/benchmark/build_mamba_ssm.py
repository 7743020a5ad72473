"""Compiles the CUDA scan of mamba_ssm for one kind of GPU, from the sources on PyPI.

    pip download --no-deps --no-binary :all: --no-build-isolation mamba-ssm==2.3.2.post1
    python tools/benchmark/build_mamba_ssm.py mamba_ssm-2.3.2.post1.tar.gz OUT
    PYTHONPATH=OUT python tools/benchmark/ops.py --device cuda …

Its own setup builds for eight architectures and takes as many times as long.
"""

import argparse
import tarfile
import tempfile
from pathlib import Path

import torch
from torch.utils.cpp_extension import load

from mmdefocus.utils.command import command, some_path
from mmdefocus.utils.errors import InputError

NAME = 'selective_scan_cuda'  # of the module that mamba_ssm imports
SOURCES = 'csrc/selective_scan'
# as in its setup.py
OPTIONS = [
    '-O3',
    '-std=c++17',
    '-U__CUDA_NO_HALF_OPERATORS__',
    '-U__CUDA_NO_HALF_CONVERSIONS__',
    '-U__CUDA_NO_BFLOAT16_OPERATORS__',
    '-U__CUDA_NO_BFLOAT16_CONVERSIONS__',
    '-U__CUDA_NO_BFLOAT162_OPERATORS__',
    '-U__CUDA_NO_BFLOAT162_CONVERSIONS__',
    '--expt-relaxed-constexpr',
    '--expt-extended-lambda',
    '--use_fast_math',
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('sources', type=some_path, help='mamba_ssm-VERSION.tar.gz')
    parser.add_argument('out', type=some_path, help=f'folder of the module {NAME}')
    parser.add_argument('--sm', type=int, default=this_gpu(), help='default: that of the GPU')


def this_gpu() -> int:
    """Returns the compute capability of the GPU as one number; 90 without a GPU."""
    if not torch.cuda.is_available():
        return 90
    major, minor = torch.cuda.get_device_capability()
    return 10 * major + minor


def build(archive: Path, out: Path, capability: int) -> None:
    """Compiles the sources in an archive; the module is left in `out`.

    Raises:
        InputError: If the archive has no such sources.
    """
    out.mkdir(parents=True, exist_ok=True)
    architecture = f'-gencode=arch=compute_{capability},code=sm_{capability}'
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as archived:
            archived.extractall(folder, filter='data')
        (sources, *_) = [*Path(folder).glob(f'*/{SOURCES}'), None]
        if sources is None:
            raise InputError(f'{archive}: expected the sources of mamba_ssm, found no {SOURCES}')
        load(
            NAME,
            [str(path) for path in sorted(sources.iterdir()) if path.suffix in ('.cpp', '.cu')],
            extra_cflags=['-O3', '-std=c++17'],
            extra_cuda_cflags=[*OPTIONS, architecture],
            extra_include_paths=[str(sources)],
            build_directory=str(out),
            is_python_module=False,
            verbose=True,
        )


@command(add_arguments)
def main(args: argparse.Namespace) -> None:
    """Compiles."""
    build(args.sources, args.out, args.sm)


if __name__ == '__main__':
    main()
