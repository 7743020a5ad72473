"""Shows what is installed and which kernels can run here; exits with 1 if something is broken."""

import importlib
import os
import shutil
import subprocess
import sys
from importlib import metadata
from typing import NamedTuple

from packaging.version import Version
from rich.console import Console
from rich.table import Table

# mmdefocus comes first, because mmpretrain reads operators of mmcv, which mmdefocus may supply
PACKAGES = ('mmdefocus', 'torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain')
COMPILERS = ('c++', 'g++', 'clang++')
BUILD_MMCV = 'make setup MMCV_OPS=1 builds them'


class Finding(NamedTuple):
    """A line of the report; with a problem if that part is broken."""

    name: str
    found: str
    problem: str | None = None


def check_python() -> Finding:
    """Reports the interpreter."""
    return Finding('python', f'{sys.version.split()[0]} ({sys.executable})')


def check_package(name: str, owners: dict[str, list[str]]) -> Finding:
    """Reports the version of a package, and whether it has one owner and can be imported.

    Args:
        name: The name under which it is imported.
        owners: The distributions that own each import name.
    """
    distributions = sorted(set(owners.get(name, ())))
    found = ', '.join(
        metadata.version(owner) if distributions == [name] else f'{owner} {metadata.version(owner)}'
        for owner in distributions
    )
    if len(distributions) > 1:
        remove = ' '.join(owner for owner in distributions if not owner.startswith('onedl'))
        return Finding(
            name,
            found,
            f'{len(distributions)} distributions own the package and overwrite each other; '
            f'pip uninstall {remove or distributions[-1]}, and install the other again',
        )
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a broken build may raise anything
        reason = str(error).partition('\n')[0]
        what = f'{type(error).__name__}: {reason}' if found else 'it is not installed'
        return Finding(name, found or 'missing', f'cannot be imported ({what})')
    return Finding(name, found or f'{getattr(module, "__version__", "unknown")} (from its folder)')


def check_mmcv_ops() -> Finding:
    """Reports who supplies the operators of mmcv, and whether they load."""
    try:
        extension = importlib.import_module('mmcv._ext')
    except ModuleNotFoundError:
        reason = f'mmcv was built without its operators, and mmdefocus is not there; {BUILD_MMCV}'
        return Finding('mmcv ops', 'missing', reason)
    except Exception as error:  # an operator library of another torch may raise anything
        reason = str(error).partition('\n')[0]
        return Finding('mmcv ops', 'broken', f'they do not load ({reason}); {BUILD_MMCV}')
    if not hasattr(extension, 'REPLACED'):
        return Finding('mmcv ops', 'compiled')
    return Finding(
        'mmcv ops', f'from mmdefocus: {", ".join(extension.REPLACED)}; for others, {BUILD_MMCV}'
    )


def check_checkpoints(owners: dict[str, list[str]]) -> Finding | None:
    """Reports the original mmengine that cannot load its own checkpoints on torch 2.6 or newer."""
    if 'mmengine' not in owners.get('mmengine', ()) or 'torch' not in owners:
        return None
    torch, mmengine = (Version(metadata.version(name)) for name in ('torch', 'mmengine'))
    if torch < Version('2.6') or mmengine > Version('0.10.7'):
        return None
    return Finding(
        'checkpoints',
        f'mmengine {mmengine}, torch {torch}',
        'this mmengine cannot load its own checkpoints on torch 2.6 or newer; '
        'pip uninstall mmengine, then pip install onedl-mmengine',
    )


def check_device() -> Finding:
    """Reports where tensors are computed."""
    import torch

    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return Finding('device', f'{count} x {torch.cuda.get_device_name(0)}')
    return Finding('device', f'CPU, {torch.get_num_threads()} threads')


def check_compiler() -> Finding:
    """Reports the C++ compiler; only kernels that are compiled on first use need one."""
    candidates = [os.environ['CXX']] if os.environ.get('CXX') else COMPILERS
    path = next(filter(None, map(shutil.which, candidates)), None)
    if path is None:
        return Finding('compiler', f'none found (looked for {", ".join(candidates)})')
    version = subprocess.run([path, '--version'], capture_output=True, text=True, check=False)
    return Finding('compiler', f'{path}: {version.stdout.partition(chr(10))[0]}')


def check_backends() -> list[Finding]:
    """Reports which backend of each operator can run, and why the others cannot."""
    from mmdefocus.ops import available_backends

    findings = []
    for operator, backends in available_backends().items():
        findings += [Finding(f'{operator}: {name}', state) for name, state in backends.items()]
        if 'available' not in backends.values():
            findings.append(Finding(operator, 'unusable', 'no backend can run'))
    return findings


def collect() -> list[Finding]:
    """Returns the whole report."""
    owners = {name: list(owner) for name, owner in metadata.packages_distributions().items()}
    findings = [check_python(), *(check_package(name, owners) for name in PACKAGES)]
    broken = {finding.name for finding in findings if finding.problem}
    if 'mmcv' not in broken:
        findings.append(check_mmcv_ops())
    findings.append(check_compiler())
    if checkpoints := check_checkpoints(owners):
        findings.append(checkpoints)
    if 'torch' not in broken:
        findings.append(check_device())
        if 'mmdefocus' not in broken:
            findings += check_backends()
    return findings


def main() -> None:
    """Prints the report, and one line on stderr for each problem."""
    # as in mmdefocus.utils.console, which may be what is broken; paths have any character
    sys.stdout.reconfigure(errors='backslashreplace')
    findings = collect()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow='fold')
    for finding in findings:
        table.add_row(finding.name, finding.found, style='red' if finding.problem else None)
    Console(markup=False, emoji=False).print(table)
    problems = [finding for finding in findings if finding.problem]
    for finding in problems:
        print(f'error: {finding.name}: {finding.problem}', file=sys.stderr)
    raise SystemExit(1 if problems else 0)


if __name__ == '__main__':
    main()
