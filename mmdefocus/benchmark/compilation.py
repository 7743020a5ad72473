"""Ahead-of-time compilation of the Triton kernels, for GPUs that need not be at hand."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from ..ops import operators, replaced
from .report import Row

ALIGNMENT = 16  # divisors of pointers and integers for which Triton makes a kernel of its own
WARP = 32
COMPILER = {'num_warps': 4, 'num_stages': 3}  # the options of Triton and their defaults
TYPES = {
    torch.bfloat16: '*bf16',
    torch.float16: '*fp16',
    torch.float32: '*fp32',
    torch.float64: '*fp64',
    torch.int64: '*i64',
}


class Launch(NamedTuple):
    """A kernel and how it was called: two that are equal are the same program."""

    kernel: JITFunction
    signature: tuple[tuple[str, str], ...]
    constants: tuple[tuple[int, object], ...]
    divisible: tuple[int, ...]
    options: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        return f'{self.kernel.__module__.split(".")[-2]}.{self.kernel.__name__}'


def record_launches(call: Callable[[], object]) -> list[Launch]:
    """Returns the different kernels that a call would launch, without running them.

    The tensors of the call may be on the CPU; its results are without meaning.
    """
    launches: dict[Launch, None] = {}

    def record(kernel: JITFunction, *args: object, grid: object, warmup: bool, **options: object):
        launches[_describe(kernel, args, options)] = None

    kernels = {
        name: operator.backends['triton'].run
        for name, operator in operators().items()
        if 'triton' in operator.backends
    }
    with replaced(kernels), mock.patch.object(JITFunction, 'run', record):
        call()
    return list(launches)


def _describe(kernel: JITFunction, args: tuple, options: dict[str, object]) -> Launch:
    compiler = tuple((key, options.pop(key, default)) for key, default in COMPILER.items())
    values = dict(zip(kernel.arg_names, args, strict=False)) | options
    signature, constants, divisible = [], [], []
    for index, name in enumerate(kernel.arg_names):
        value = values[name]
        if name in options or (isinstance(value, int) and value == 1):
            signature.append((name, 'constexpr'))
            constants.append((index, value))
        elif isinstance(value, Tensor):
            signature.append((name, TYPES[value.dtype]))
            divisible.append(index)
        else:
            signature.append((name, 'i32' if isinstance(value, int) else 'fp32'))
            if isinstance(value, int) and value % ALIGNMENT == 0:
                divisible.append(index)
    return Launch(kernel, tuple(signature), tuple(constants), tuple(divisible), compiler)


def compile_launch(launch: Launch, capability: int) -> Row:
    """Compiles a kernel for a compute capability (80, 90); returns what its program takes.

    Keys: registers of a thread, bytes of spills and of shared memory of a program, threads.
    """
    source = ASTSource(
        launch.kernel,
        dict(launch.signature),
        {(index,): value for index, value in launch.constants},
        {(index,): [['tt.divisibility', ALIGNMENT]] for index in launch.divisible},
    )
    target = GPUTarget('cuda', capability, WARP)
    compiled = triton.compile(source, target=target, options=dict(launch.options))
    usage = _assembler_report(compiled.asm['ptx'])
    return {
        'kernel': launch.name,
        'sm': capability,
        'threads': compiled.metadata.num_warps * WARP,
        'registers': int(re.search(r'Used (\d+) registers', usage)[1]),
        'spilled_bytes': sum(map(int, re.findall(r'(\d+) bytes spill', usage))),
        'shared_bytes': compiled.metadata.shared,
    }


def _assembler_report(ptx: str) -> str:
    """Returns what the assembler that comes with Triton says about a program."""
    assembler = Path(triton.__file__).parent / 'backends/nvidia/bin/ptxas'
    architecture = re.search(r'^\.target (\w+)', ptx, re.MULTILINE)[1]
    with tempfile.NamedTemporaryFile('w', suffix='.ptx') as file:
        file.write(ptx)
        file.flush()
        command = [assembler, '-v', f'--gpu-name={architecture}', file.name, '-o', os.devnull]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr
