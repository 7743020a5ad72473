"""A training of one process that goes on with two sees the same samples in the same steps."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from trainings import make_images

from mmdefocus.checkpoints.files import read_checkpoint

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / 'tools' / 'train.py'


def train(folder: Path, processes: int, work_dir: str, *options: str) -> None:
    """Runs the tool on so many processes, with six images a step in all."""
    command = [sys.executable]
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
    command += [TRAIN, folder / 'config.py', '--work-dir', folder / work_dir, *options]
    command += ['--launcher', 'pytorch'] if processes > 1 else []
    command += ['--cfg-options', f'train_dataloader.batch_size={6 // processes}']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_one_process_becomes_two_in_mid_epoch(tmp_path):
    make_images(tmp_path / 'data')
    (tmp_path / 'config.py').write_text(
        f"_base_ = '{HERE / 'tiny_training.py'}'\n"
        f"train_dataloader = dict(dataset=dict(data_root='{tmp_path / 'data'}'))\n"
        "optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))\n"
        "custom_hooks = [dict(type='NonFiniteLossHook')]\n"
        'model = dict(backbone=dict(drop_path_rate=0.0))\n'
        'default_hooks = dict(checkpoint=dict(max_keep_ckpts=9))\n'
    )
    train(tmp_path, 1, 'one')
    train(tmp_path, 2, 'two', '--resume', str(tmp_path / 'one' / 'iter_3.pth'))
    one, two = (read_checkpoint(str(tmp_path / name / 'iter_10.pth')) for name in ('one', 'two'))
    for name, weight in one['state_dict'].items():
        torch.testing.assert_close(two['state_dict'][name], weight, rtol=0, atol=1e-6)
    start = read_checkpoint(str(tmp_path / 'one' / 'iter_3.pth'))['state_dict']
    changed = [not torch.equal(start[name], w) for name, w in one['state_dict'].items()]
    assert any(changed)
