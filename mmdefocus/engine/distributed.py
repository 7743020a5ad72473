"""Training in many processes, where MMEngine needs help."""

import torch
from mmengine.config import Config
from torch import distributed


def join_processes(cfg: Config) -> None:
    """Joins the processes of torchrun on a CPU, where MMEngine would look for GPUs.

    Changes nothing on a GPU, or if the config has another launcher.
    """
    if cfg.get('launcher') != 'pytorch' or torch.cuda.is_available():
        return
    if not distributed.is_initialized():
        distributed.init_process_group('gloo')
    wrapper = dict(cfg.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel'))
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def leave_processes() -> None:
    """Ends the process group, if there is one.

    Its threads would otherwise meet the end of the interpreter, which now and then aborts a process
    that has done all its work.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
