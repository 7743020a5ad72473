import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmdefocus.datasets import digits

CONVERTER = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'digits.py'


def load_converter():
    spec = importlib.util.spec_from_file_location('digits_converter', CONVERTER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(out, *options):
    return subprocess.run(
        [sys.executable, str(CONVERTER), '--out', str(out), *options],
        capture_output=True,
        text=True,
    )


def convert_small(out, *options):
    return convert(out, '--num-train', '6', '--num-val', '4', '--image-size', '96', *options)


def fingerprint(folder):
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {str(p.relative_to(folder)): hashlib.md5(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope='module')
def converted(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'digits'
    done = convert_small(out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope='module')
def scans():
    return digits.load_scans()


def test_scans_are_split_into_1400_and_397(scans):
    assert [len(part.labels) for part in scans] == [1400, 397]


def test_splits_share_no_scan(scans):
    train, val = scans
    assert sorted([*train.indices, *val.indices]) == list(range(1797))


def test_every_class_is_in_both_splits_evenly(scans):
    for part in scans:
        counts = np.bincount(part.labels, minlength=10)
        assert counts.min() >= 0.9 * counts.max()


@pytest.mark.parametrize(('split', 'part'), [('train', 0), ('val', 1)])
def test_image_folder_holds_each_scan_once_under_its_class(converted, scans, split, part):
    found = {
        int(path.stem): int(path.parent.name)
        for path in (converted / 'classification' / split).glob('*/*.png')
    }
    assert found == dict(zip(scans[part].indices, scans[part].labels, strict=True))


@pytest.mark.parametrize(('split', 'part', 'number'), [('train', 0, 6), ('val', 1, 4)])
def test_annotations_load_as_coco_and_name_scans_of_their_split(
    converted, scans, split, part, number
):
    coco = COCO(converted / 'detection' / 'annotations' / f'{split}.json')
    assert len(coco.imgs) == number
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list('0123456789')
    label_of = dict(zip(scans[part].indices, scans[part].labels, strict=True))
    for annotation in coco.anns.values():
        assert label_of[annotation['scan']] == annotation['category_id']


def test_scenes_hold_1_to_5_digits_inside_the_image(converted):
    coco = COCO(converted / 'detection' / 'annotations' / 'train.json')
    for image_id, image in coco.imgs.items():
        assert cv2.imread(str(converted / 'detection' / 'train' / image['file_name'])).shape == (
            96,
            96,
            3,
        )
        boxes = [annotation['bbox'] for annotation in coco.imgToAnns[image_id]]
        assert 1 <= len(boxes) <= 5
        assert all(x >= 0 and y >= 0 and x + w <= 96 and y + h <= 96 for x, y, w, h in boxes)


def test_boxes_are_tight_around_what_was_written(scans, monkeypatch):
    grey = np.full((96, 96, 3), 128, np.float32)
    monkeypatch.setattr(digits, 'paint_ground', lambda rng, size: grey.copy())
    monkeypatch.setattr(digits, '_contrasting_colour', lambda rng, region: np.full(3, 255.0))
    monkeypatch.setattr(digits, '_MAX_DIGITS', 1)
    for seed in range(20):
        scene = digits.compose_scene(np.random.default_rng(seed), scans[0], 96)
        # Half way from the ground to the colour, less the grain of up to about 3 x 8 levels.
        found = digits.ink_box((scene.image.min(2) - 128.0) / 127)
        assert np.abs(np.array(found) - scene.boxes[0]).max() <= 2


def test_boxes_hardly_overlap(scans):
    for seed in range(30):
        boxes = digits.compose_scene(np.random.default_rng(seed), scans[0], 96).boxes
        for i, (x, y, w, h) in enumerate(boxes):
            for u, v, p, q in boxes[:i]:
                shared = max(0, min(x + w, u + p) - max(x, u)) * max(
                    0, min(y + h, v + q) - max(y, v)
                )
                assert shared <= 0.05 * min(w * h, p * q)


def test_same_seed_gives_the_same_files(converted, tmp_path):
    assert convert_small(tmp_path / 'again').returncode == 0
    assert fingerprint(tmp_path / 'again') == fingerprint(converted)


def test_another_seed_gives_other_scenes_of_the_same_scans(converted, tmp_path):
    assert convert_small(tmp_path / 'other', '--seed', '1').returncode == 0
    for kind, same in (('classification', True), ('detection', False)):
        found = fingerprint(tmp_path / 'other' / kind) == fingerprint(converted / kind)
        assert found is same


def test_existing_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / 'digits').mkdir()
    (tmp_path / 'digits' / 'mine.txt').write_text('mine')
    load_converter().main(['--out', str(tmp_path / 'digits')])
    assert 'exists' in capsys.readouterr().out
    assert [path.name for path in (tmp_path / 'digits').iterdir()] == ['mine.txt']


def test_overwrite_replaces_the_folder_and_leaves_nothing_beside(tmp_path):
    (tmp_path / 'digits').mkdir()
    (tmp_path / 'digits' / 'old.txt').write_text('old')
    assert convert_small(tmp_path / 'digits', '--overwrite').returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ['digits']
    assert not (tmp_path / 'digits' / 'old.txt').exists()
    json.loads((tmp_path / 'digits/detection/annotations/val.json').read_text())


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path):
    (tmp_path / 'old').mkdir()
    with pytest.raises(FileNotFoundError):
        load_converter().exchange(tmp_path / 'missing', tmp_path / 'old', tmp_path / 'before')
    assert [path.name for path in tmp_path.iterdir()] == ['old']


@pytest.mark.parametrize(
    ('option', 'value'),
    [('--num-train', '0'), ('--num-val', '-3'), ('--image-size', '20'), ('--seed', '-1')],
)
def test_bad_number_is_one_line_naming_the_option(tmp_path, capsys, option, value):
    with pytest.raises(SystemExit):
        load_converter().main(['--out', str(tmp_path / 'digits'), option, value])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert option in last and value in last
    assert not (tmp_path / 'digits').exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    with pytest.raises(SystemExit):
        load_converter().main(['--out', str(tmp_path / 'file' / 'digits')])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and str(tmp_path / 'file') in line
