"""Finds the checkpoints of a training by looking at the files, whatever `last_checkpoint` says."""

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ...checkpoints.checks import check_file
from ...checkpoints.zip_archive import is_archive, read_archive
from ...utils.errors import InputError
from ...utils.files import is_local, remove_unfinished, replacing

POINTER = 'last_checkpoint'
LOCAL = (None, 'local', 'disk')  # backends of MMEngine
SAVED = 'saved_at'  # seconds since 1970, in the `meta` of a checkpoint
_NAME = re.compile(r'((epoch|iter)_\d+|best_.+|interim)\.pth')


class Saved(NamedTuple):
    """A checkpoint that a training has written.

    Attributes:
        time: When, in seconds since 1970.
        path: The file.
        resumable: Whether it is one to resume from, damaged or in pieces; best checkpoints have
            weights only.
    """

    time: float
    path: Path
    resumable: bool


def checkpoint_folders(cfg: Mapping, work_dir: str) -> list[Path]:
    """Returns the folders in which a config lets checkpoints be written.

    Raises:
        InputError: If one is on another machine, where they would neither be found again nor whole.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    out_dir = hook.get('out_dir') or work_dir
    backend = (hook.get('backend_args') or hook.get('file_client_args') or {}).get('backend')
    if not is_local(str(out_dir)) or backend not in LOCAL:
        where = repr(out_dir) if backend in LOCAL else f'backend {backend!r}'
        raise InputError(
            f'default_hooks.checkpoint: expected a folder of this machine, got {where}; copy the '
            'checkpoints when they are written'
        )
    folders = [Path(work_dir)]
    if Path(out_dir) != folders[0]:
        folders.append(Path(out_dir) / folders[0].name)
    return folders


def saved_checkpoints(folders: list[Path]) -> list[Saved]:
    """Returns the checkpoints that trainings have left in folders, the newest first.

    Other weights, such as `inference.pth`, are not among them.
    """
    paths = (path for folder in folders for path in folder.glob('*.pth'))
    return sorted(filter(None, map(_look, paths)), reverse=True)


def newest_checkpoint(folders: list[Path]) -> str | None:
    """Returns the newest checkpoint from which a training can be resumed; skips damaged ones.

    Returns:
        The path, None if there is no checkpoint at all.

    Raises:
        InputError: If there are checkpoints and none of them can be resumed.
    """
    saved = saved_checkpoints(folders)
    problems = []
    for each in saved:
        if not each.resumable:
            continue
        try:
            check_file(str(each.path), resume=True)
        except InputError as error:
            problems.append(str(error))
            print(f'skipped: {error}', file=sys.stderr)
        else:
            return str(each.path)
    if saved:
        reason = problems[0] if problems else f'{saved[0].path} holds weights only'
        raise InputError(
            f'{folders[0]}: none of {len(saved)} checkpoints can be resumed ({reason}); '
            '--overwrite deletes them and begins anew'
        )
    return None


def check_unused(folders: list[Path]) -> None:
    """Checks that no training has left checkpoints in folders.

    Raises:
        InputError: If one has.
    """
    saved = saved_checkpoints(folders)
    if saved:
        raise InputError(
            f'{saved[0].path.parent}: holds {len(saved)} checkpoints of a training '
            f'({saved[0].path.name}); go on from them with --resume, delete them with --overwrite, '
            'or name another folder with --work-dir'
        )


def delete_checkpoints(folders: list[Path]) -> None:
    """Deletes the checkpoints that trainings have left in folders, whole and unfinished."""
    for saved in saved_checkpoints(folders):
        if saved.path.is_dir():  # as DeepSpeed writes them
            shutil.rmtree(saved.path)
        else:
            saved.path.unlink()
    for folder in folders:
        (folder / POINTER).unlink(missing_ok=True)
        remove_unfinished(folder)


def point_to(path: str, work_dir: str) -> None:
    """Writes MMEngine's `last_checkpoint`, for other programs."""
    with replacing(Path(work_dir) / POINTER) as unfinished:
        unfinished.write_text(path)


def _look(path: Path) -> Saved | None:
    """Reads what a file says about itself; returns None if no training has written it."""
    try:
        time = path.stat().st_mtime
    except FileNotFoundError:  # a training that runs here has deleted it
        return None
    try:
        # The numbers are not read: the folder of a long training may hold a terabyte.
        content = read_archive(path, check_numbers=False) if is_archive(path) else None
    except Exception:  # a damaged file fails in many ways
        content = None
    if not isinstance(content, dict):
        return Saved(time, path, True) if _NAME.fullmatch(path.name) else None
    meta, trained = content.get('meta'), isinstance(content.get('message_hub'), dict)
    if not trained or not isinstance(meta, dict):
        return None
    saved_at = meta.get(SAVED)
    return Saved(saved_at if isinstance(saved_at, float) else time, path, 'optimizer' in content)
