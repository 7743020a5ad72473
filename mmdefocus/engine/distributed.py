"""Training in many processes, where MMEngine needs help."""

import gc
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
from mmengine.config import Config
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from ..utils.errors import InputError, one_line

TIMEOUT = 1800  # seconds
PATIENCE = 5  # seconds
FAILED = 'mmdefocus/failed'
# What gloo and NCCL say when another process is silent or gone.
SILENCE = ('gloo', 'Timed out', 'timeout', 'Connection closed', 'Connection reset', 'NCCL')


def timeout_of(cfg: Mapping) -> timedelta:
    """Returns how long a process waits for another: `env_cfg.dist_cfg.timeout`, in seconds."""
    return timedelta(seconds=_settings(cfg).get('timeout', TIMEOUT))


def was_restarted() -> bool:
    """Returns whether torchrun has started this process again after a failure."""
    return _restarts() > 0


def join_processes(cfg: Config) -> None:
    """Joins the processes of torchrun, on a CPU too, where MMEngine would look for GPUs.

    Changes nothing if the config has another launcher.
    """
    if cfg.get('launcher') != 'pytorch':
        return
    on_gpu = torch.cuda.is_available()
    if not distributed.is_initialized():
        backend = 'gloo'
        if on_gpu:
            torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
            backend = _settings(cfg).get('backend', 'nccl')
        store, rank, world_size = next(rendezvous('env://', timeout=timeout_of(cfg)))
        # After a restart the store of torchrun still holds the addresses of dead processes.
        store = PrefixStore(f'start{_restarts()}', store)
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=world_size, timeout=timeout_of(cfg)
        )
    if not on_gpu:
        wrapper = dict(cfg.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel'))
        cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def leave_processes() -> None:
    """Ends the process groups, if there are any, and their threads.

    The threads would otherwise meet the end of the interpreter, which now and then aborts a process
    that has done all its work. They end with the last reference to their group. Wrapped models and
    hooks hold some, and runners hold those in cycles.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        gc.collect()


@contextmanager
def one_message(cfg: Config) -> Iterator[None]:
    """Lets the first of all processes that fails speak, and the others end without a word.

    Raises:
        InputError: If another process is frozen or gone; says how long this one has waited.
        SystemExit: In a process that fails because another one has.
    """
    try:
        yield
    except Exception as error:
        if not distributed.is_initialized() or distributed.get_world_size() == 1:
            raise
        if not _is_first():
            raise SystemExit(1) from error
        if isinstance(error, RuntimeError) and any(word in str(error) for word in SILENCE):
            raise InputError(
                f'process {distributed.get_rank()} has lost another process, which is gone or has '
                f'not answered for {timeout_of(cfg).total_seconds():g} seconds '
                '(env_cfg.dist_cfg.timeout); the training goes on from its last checkpoint with '
                f'--resume ({one_line(error)[:120]})'
            ) from error
        raise


def _is_first() -> bool:
    """Returns whether no other process has failed before; True if they cannot be asked.

    What they are asked by may end with process 0. Therefore that one waits for those that fail
    with it.
    """
    try:
        store = distributed.distributed_c10d._get_default_store()
        store.set_timeout(timedelta(seconds=10))
        number = failed = store.add(FAILED, 1)
        end = time.monotonic() + PATIENCE
        while distributed.get_rank() == 0 and failed < distributed.get_world_size():
            if time.monotonic() > end:
                break
            time.sleep(0.02)
            failed = store.add(FAILED, 0)
        return number == 1
    except RuntimeError:
        return True


def _restarts() -> int:
    return int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0))


def _settings(cfg: Mapping) -> Mapping:
    return (cfg.get('env_cfg') or {}).get('dist_cfg') or {}
