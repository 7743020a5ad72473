"""Testing on two processes gives the metrics of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


def metrics_of(processes: int, folder: Path, *arguments) -> dict:
    """Runs the test tool on so many processes of a CPU; returns the metrics it writes."""
    out = folder / f'metrics{processes}.json'
    command = [sys.executable]
    if processes > 1:
        command += ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}']
    command += [TOOLS / 'test.py', *arguments, '--out', out, '--work-dir', folder / f'{processes}']
    command += ['--launcher', 'pytorch'] if processes > 1 else []
    environment = {'OMP_NUM_THREADS': '1', **os.environ, 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(out.read_text())


def test_accuracy_of_five_images(workshop, trained):
    (workshop.data / 'light' / '2.png').unlink()
    config = workshop.config("test_dataloader['batch_size'] = 1")
    one, two = (metrics_of(n, workshop.path, config, trained) for n in (1, 2))
    assert one == two
    assert one['accuracy/top1'] == pytest.approx(round(one['accuracy/top1'] / 20) * 20)


def test_average_precision_of_five_scenes(workshop, detector):
    """The truth is made of what the detector finds, so that its precision is not zero."""
    images = detector.data / 'images'
    with pytest.raises(SystemExit):
        workshop.run('infer', images, detector.config, detector.checkpoint, '--out', 'out')
    predictions = json.loads((workshop.path / 'out' / 'predictions.json').read_text())
    truth = json.loads((detector.data / 'truth.json').read_text())
    truth['annotations'] = []
    for number, found in enumerate(predictions['predictions'][::2], start=1):
        x1, y1, x2, y2 = found['boxes'][0]['bbox']
        box = [x1, y1, x2 - x1, 0.9 * (y2 - y1)]
        truth['annotations'].append(
            dict(
                id=number,
                image_id=2 * number - 1,
                category_id=found['boxes'][0]['label'],
                bbox=box,
                area=box[2] * box[3],
                iscrowd=0,
            )
        )
    path = workshop.path / 'truth.json'
    path.write_text(json.dumps(truth))
    keys = ('test_evaluator.ann_file', 'test_dataloader.dataset.ann_file')
    options = ('--cfg-options', *(f'{key}={path}' for key in keys))
    one, two = (
        metrics_of(n, workshop.path, detector.config, detector.checkpoint, *options) for n in (1, 2)
    )
    assert one == two
    assert one['coco/bbox_mAP'] > 0
