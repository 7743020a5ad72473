"""The configs of the demo fit each other and train and test on data of the converter's kind."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from rich.progress import Progress

from mmdefocus.datasets import digits
from mmdefocus.engine.runner import CheckedRunner

ROOT = Path(__file__).parents[2]
CLASSIFIER = ROOT / 'configs/digits/defocus-mamba-digits_cls.py'
DETECTOR = ROOT / 'configs/digits/dino_defocus-mamba-digits.py'
BATCH = 2


def load_tool(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """A folder with `data/digits` as the converter writes it, but of 20 scans and 2 scenes."""
    folder = tmp_path_factory.mktemp('demo')
    out = folder / 'data' / 'digits'
    converter = load_tool(ROOT / 'tools/dataset_converters/digits.py')
    with Progress(disable=True) as progress:
        for split, scans in zip(converter.SPLITS, digits.load_scans(), strict=True):
            few = digits.Scans(*(part[:20] for part in scans))
            converter.write_scans(out / 'classification' / split, few, progress, '')
            converter.write_scenes(
                out / 'detection' / split,
                out / 'detection' / 'annotations' / f'{split}.json',
                few,
                range(BATCH),
                128,
                (progress, ''),
            )
    return folder


def load(path, name):
    """A config that trains for one epoch of few images."""
    cfg = Config.fromfile(path)
    cfg.train_dataloader.num_workers = 0
    cfg.train_dataloader.batch_size = cfg.val_dataloader.batch_size = BATCH
    cfg.train_dataloader.dataset.indices = BATCH
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.param_scheduler = None
    cfg.default_hooks.checkpoint.interval = 1
    cfg.experiment_name = name
    return cfg


@pytest.fixture(scope='module')
def trained(work):
    """The classifier and, started from it, the detector, each trained for one step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        classifier = CheckedRunner.from_cfg(load(CLASSIFIER, 'classifier'))
        classifier.train()
        detector = CheckedRunner.from_cfg(load(DETECTOR, 'detector'))
        detector.train()
    return classifier, detector


def test_one_step_of_the_classifier_leaves_weights_and_a_top1(trained, work):
    assert (work / 'work_dirs/demo/classifier/epoch_1.pth').exists()
    top1 = trained[0].message_hub.get_scalar('val/accuracy/top1').current()
    assert 0 <= top1 <= 100


def test_one_step_of_the_detector_leaves_weights_and_a_map(trained, work):
    assert (work / 'work_dirs/demo/detector/epoch_1.pth').exists()
    assert -1 <= trained[1].message_hub.get_scalar('val/coco/bbox_mAP').current() <= 1


def test_the_detector_starts_from_the_classifier(trained, work, monkeypatch):
    monkeypatch.chdir(work)
    detector = CheckedRunner.from_cfg(load(DETECTOR, 'start')).model
    detector.init_weights()
    state = trained[0].model.backbone.state_dict()
    for key, value in detector.backbone.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0)


def test_the_detector_reads_sections_of_the_size_of_the_classifier():
    classifier, detector = map(Config.fromfile, (CLASSIFIER, DETECTOR))
    backbone = detector.model.backbone
    assert backbone.token_order == 'sections'
    assert backbone.pretrain_img_size == classifier.model.backbone.img_size
    assert backbone.img_size > backbone.pretrain_img_size
    for key in ('mean', 'std'):
        assert detector.model.data_preprocessor[key] == classifier.model.data_preprocessor[key]


def test_the_demo_draws_the_first_scenes(work, monkeypatch):
    demo = load_tool(ROOT / 'tools/demo.py')
    monkeypatch.chdir(work)
    cfg = Config.fromfile(DETECTOR)
    truth = json.loads(Path(cfg.val_evaluator.ann_file).read_text())['annotations']
    prefix = Path(cfg.test_evaluator.outfile_prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    found = [dict(box, score=0.9) for box in truth]
    prefix.with_name(prefix.name + '.bbox.json').write_text(json.dumps(found))
    pictures = demo.draw_detections(cfg)
    assert pictures and all(path.stat().st_size > 0 for path in pictures)


def test_the_demo_takes_the_steps_in_order_with_the_ordinary_tools():
    demo = load_tool(ROOT / 'tools/demo.py')
    steps = demo.plan(*map(Config.fromfile, (CLASSIFIER, DETECTOR)))
    assert [step.name for step in steps] == [
        'prepare data',
        'train classifier',
        'test classifier',
        'train detector',
        'test detector',
    ]
    assert all((ROOT / step.arguments[0]).is_file() for step in steps)


def test_the_demo_of_a_wheel_works_in_the_folder_where_it_is_started(tmp_path, monkeypatch):
    demo = load_tool(ROOT / 'tools/demo.py')
    monkeypatch.chdir(tmp_path)
    steps = demo.plan(*map(Config.fromfile, (CLASSIFIER, DETECTOR)))
    assert all(Path(step.arguments[0]).is_file() for step in steps)
    assert not any(step.product.is_absolute() for step in steps)
