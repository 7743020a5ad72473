"""Ahead-of-time compilation of the Triton kernels, for GPUs that need not be at hand."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import torch
import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from .report import Row

WARP = 32
DIVISIBLE = ['tt.divisibility', 16]


class AbsentGPU(DriverBase):
    """Stands for a GPU of a compute capability (80, 90) of which Triton only needs to know this."""

    def __init__(self, capability: int) -> None:
        super().__init__()
        self.target = GPUTarget('cuda', capability, WARP)

    @classmethod
    def is_active(cls) -> bool:
        return False

    def map_python_to_cpp_type(self, ty: str) -> str:
        return ty

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return self.target.arch

    def get_current_stream(self, device: int) -> int:
        return device

    def get_active_torch_device(self) -> torch.device:
        return torch.device('cpu')

    def get_benchmarker(self) -> Callable[..., float]:
        return triton.testing.do_bench


class Launch(NamedTuple):
    """A kernel as Triton would compile it: two that are equal are the same program."""

    kernel: JITFunction
    signature: tuple[tuple[str, str], ...]
    constants: tuple[tuple[tuple[int, ...], object], ...]
    divisible: tuple[tuple[int, ...], ...]
    options: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        return f'{self.kernel.__module__.split(".")[-2]}.{self.kernel.__name__}'


def record_launches(call: Callable[[], object], capability: int) -> list[Launch]:
    """Returns the different kernels that a call would launch on a GPU, without running them.

    The tensors of the call may be on the CPU; its results are without meaning. Triton keeps the
    absent GPU, so this is for a process of its own.
    """
    launches: dict[Launch, None] = {}

    def record(fn: object, compile: dict, **about: object) -> bool:
        (attributes,) = compile['configs']
        divisible = tuple(path for path, found in attributes.items() if DIVISIBLE in found)
        options = tuple((key, compile[key]) for key in ('num_warps', 'num_stages'))
        constants = tuple(compile['constants'].items())
        signature = tuple(compile['signature'].items())
        launches[Launch(fn.jit_function, signature, constants, divisible, options)] = None
        return True  # Triton is to compile nothing, and then launches nothing

    driver.set_active(AbsentGPU(capability))
    with knobs.runtime.scope():
        knobs.runtime.jit_cache_hook = record
        call()
    return list(launches)


def compile_launch(launch: Launch, capability: int) -> Row:
    """Compiles a kernel for a compute capability (80, 90); returns what its program takes.

    Keys: registers of a thread, bytes of spills and of shared memory of a program, threads.
    """
    divisible = {path: [DIVISIBLE] for path in launch.divisible}
    signature, constants = dict(launch.signature), dict(launch.constants)
    source = ASTSource(launch.kernel, signature, constants, divisible)
    target = GPUTarget('cuda', capability, WARP)
    compiled = triton.compile(source, target=target, options=dict(launch.options))
    usage = _assembler_report(compiled.asm['ptx'], capability)
    return {
        'kernel': launch.name,
        'sm': capability,
        'threads': compiled.metadata.num_warps * WARP,
        'registers': int(re.search(r'Used (\d+) registers', usage)[1]),
        'spilled_bytes': sum(map(int, re.findall(r'(\d+) bytes spill', usage))),
        'shared_bytes': compiled.metadata.shared,
    }


def _assembler_report(ptx: str, capability: int) -> str:
    """Returns what the assembler that Triton takes for a GPU says about a program."""
    assembler = get_ptxas(capability).path
    architecture = re.search(r'^\.target (\w+)', ptx, re.MULTILINE)[1]
    with tempfile.NamedTemporaryFile('w', suffix='.ptx') as file:
        file.write(ptx)
        file.flush()
        command = [assembler, '-v', f'--gpu-name={architecture}', file.name, '-o', os.devnull]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr
