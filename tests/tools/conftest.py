"""Tools called in this process, on a classifier and a folder of images that are made here."""

import importlib.util
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from trainings import make_images

TOOLS = Path(__file__).parents[2] / 'tools'
DATA = Path(__file__).parents[1] / 'data'
RELIABILITY = Path(__file__).parents[1] / 'reliability'
NUMBERS = itertools.count()

CONFIG = """
_base_ = '{base}'
data_preparation = 'python make_images.py'
# whole, so that a test may change what it likes
model = dict(_base_.model.to_dict(), _delete_=True)
optim_wrapper = dict(_base_.optim_wrapper.to_dict(), _delete_=True)

train_dataloader = dict(_base_.train_dataloader.to_dict(), _delete_=True)
train_dataloader['dataset']['data_root'] = '{data}'
train_cfg = dict(max_epochs=4)
auto_scale_lr = dict(base_batch_size=6)

test_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset',
        data_root='{data}',
        pipeline=[dict(type='LoadImage'), dict(type='PackInputs')],
    ),
)
test_cfg = dict()
test_evaluator = dict(type='Accuracy')

default_hooks = dict(checkpoint=dict(interval=1, by_epoch=True, max_keep_ckpts=-1))
custom_hooks = [
    dict(type='NonFiniteLossHook'),
    dict(type='EpochSeedHook'),
    dict(type='DropPathScheduleHook', start=0.1, end=0.7),
]
"""


def classifier_config(data: Path) -> str:
    """Returns the text of a config for a folder of images."""
    return CONFIG.replace('{base}', str(RELIABILITY / 'tiny_training.py')).replace(
        '{data}', str(data)
    )


def load_tool(name: str) -> ModuleType:
    """Imports a tool from its file, as the command line runs it from any folder."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session', name='load_tool')
def _load_tool() -> Callable[[str], ModuleType]:
    """Imports a tool by its name under tools/, without `.py`."""
    return load_tool


@pytest.fixture
def check_env() -> ModuleType:
    """The tool check_env."""
    return load_tool('check_env')


@pytest.fixture
def workshop(tmp_path, monkeypatch, capfd):
    """A folder with data and a config, in which tools are run.

    Its `config(extra)` writes a config with further lines, `run(tool, *arguments)` calls a tool,
    and `error(tool, *arguments)` returns the one line with which a tool ends.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMDEFOCUS_TRACEBACK', raising=False)
    data = make_images(tmp_path / 'data', each=3)

    def config(extra: str = '') -> str:
        # MMEngine keeps loggers by name: a config of its own for each run.
        path = tmp_path / f'config{next(NUMBERS)}.py'
        path.write_text(classifier_config(data) + extra)
        return str(path)

    def run(tool: str, *arguments: str) -> None:
        load_tool(tool).main([*map(str, arguments)])

    def error(tool: str, *arguments: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            run(tool, *arguments)
        assert stop.value.code == 1
        lines = capfd.readouterr().err.splitlines()
        errors = [line for line in lines if line.startswith('error: ')]
        assert len(errors) == 1, lines
        assert not any('Traceback' in line for line in lines)
        return errors[0].removeprefix('error: ')

    return SimpleNamespace(path=tmp_path, data=data, config=config, run=run, error=error)


@pytest.fixture(scope='session')
def trained(tmp_path_factory) -> Path:
    """The checkpoint of one epoch."""
    folder = tmp_path_factory.mktemp('trained')
    config = folder / 'trained.py'
    config.write_text(classifier_config(make_images(folder / 'data', each=3)))
    load_tool('train').main(
        [str(config), '--work-dir', str(folder), '--cfg-options', 'train_cfg.max_epochs=1']
    )
    return folder / 'epoch_1.pth'


@pytest.fixture
def lay_down_run(workshop, trained) -> Callable[[str, int, float], Path]:
    """Makes the work directory of a finished training, of a setting, a seed and an accuracy."""

    def lay_down(setting: str, seed: int, accuracy: float) -> Path:
        folder = workshop.path / 'runs' / setting / f'seed-{seed}'
        (folder / 'now' / 'vis_data').mkdir(parents=True)
        shutil.copy(workshop.config(f'randomness = dict(seed={seed})'), folder / f'{setting}.py')
        shutil.copy(trained, folder / 'epoch_1.pth')
        accuracies = [{'accuracy/top1': x, 'step': i} for i, x in enumerate((1.0, accuracy))]
        lines = [{'loss': 2.0, 'step': 1}, *accuracies]
        log = folder / 'now' / 'vis_data' / 'scalars.json'
        log.write_text('\n'.join(map(json.dumps, lines)) + '\n')
        return folder

    return lay_down


DETECTOR = """
_base_ = '{tiny_dino}'
data_root = '{data}/'
dataset = dict(
    data_root=data_root, ann_file='truth.json', data_prefix=dict(img='images/'), test_mode=True
)
train_dataloader = dict(dataset=dict(dataset, test_mode=False))
val_dataloader = dict(dataset=dataset, batch_size=1)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'truth.json')
test_evaluator = dict(ann_file=data_root + 'truth.json')
"""


@pytest.fixture(scope='session')
def detector(tmp_path_factory) -> SimpleNamespace:
    """A detector of random weights, with five scenes: `config`, `checkpoint`, `data`."""
    folder = tmp_path_factory.mktemp('detector')
    config, checkpoint = folder / 'detector.py', folder / 'detector.pth'
    config.write_text(DETECTOR.format(tiny_dino=DATA / 'tiny_dino.py', data=folder))
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(1, 6):
        name, height, width = f'{number}.jpg', 96, 64 + 16 * number
        scene = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'images' / name), scene)
        images.append(dict(id=number, file_name=name, height=height, width=width))
        boxes.append(
            dict(id=number, image_id=number, category_id=3, bbox=[8, 8, 40, 40], area=1600)
        )
    categories = [dict(id=number, name=str(number)) for number in range(10)]
    truth = dict(
        images=images, annotations=[dict(box, iscrowd=0) for box in boxes], categories=categories
    )
    (folder / 'truth.json').write_text(json.dumps(truth))

    cfg = Config.fromfile(config)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    meta = dict(dataset_meta=dict(classes=cfg.classes))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
    return SimpleNamespace(config=config, checkpoint=checkpoint, data=folder)
