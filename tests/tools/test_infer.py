import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmdefocus.apis import Classifier, Inferencer


def run(workshop, *arguments):
    """Runs the tool, which must succeed; returns what it wrote."""
    with pytest.raises(SystemExit) as stop:
        workshop.run('infer', *arguments, '--out', 'out', '--device', 'cpu')
    assert stop.value.code == 0
    return json.loads((workshop.path / 'out' / 'predictions.json').read_text())


def test_classifier_names_the_best_classes_first(workshop, trained):
    image = workshop.data / 'dark' / '0.png'
    written = run(workshop, image, workshop.config(), trained)
    (found,) = written['predictions']
    assert (found['image'], found['width'], found['height']) == (str(image), 16, 16)
    first, second = found['classes']
    assert first['score'] >= second['score']
    assert first['score'] + second['score'] == pytest.approx(1)
    assert {first['name'], second['name']} == {'dark', 'light'}
    assert written['failed'] == []


def test_classifier_predicts_as_the_inferencer_of_mmpretrain(workshop, trained):
    from mmpretrain import ImageClassificationInferencer

    image = str(workshop.data / 'light' / '0.png')
    config = workshop.config(
        "test_dataloader['dataset']['pipeline'][0]['type'] = 'LoadImageFromFile'"
    )
    (found,) = run(workshop, image, config, trained)['predictions']
    inferencer = ImageClassificationInferencer(config, str(trained), device='cpu')
    (expected,) = inferencer(image)
    assert found['classes'][0]['name'] == expected['pred_class']
    assert found['classes'][0]['score'] == pytest.approx(expected['pred_score'], rel=1e-5)


def test_detector_predicts_as_the_inferencer_of_mmdet(workshop, detector):
    from mmdet.apis import DetInferencer

    image = str(detector.data / 'images' / '2.jpg')
    (found,) = run(workshop, image, detector.config, detector.checkpoint)['predictions']
    inferencer = DetInferencer(
        str(detector.config), str(detector.checkpoint), device='cpu', show_progress=False
    )
    (expected,) = inferencer(image)['predictions']
    assert len(found['boxes']) == len(expected['scores']) > 0
    for column, key in (('score', 'scores'), ('bbox', 'bboxes'), ('label', 'labels')):
        values = torch.tensor([box[column] for box in found['boxes']])
        torch.testing.assert_close(values, torch.tensor(expected[key]), rtol=1e-4, atol=1e-3)
    assert all(box['name'] == str(box['label']) for box in found['boxes'])


def test_boxes_do_not_depend_on_the_other_images_of_a_batch(detector):
    inferencer = Inferencer(detector.config, detector.checkpoint, 'cpu')
    single = inferencer(detector.data / 'images')
    batched = inferencer(detector.data / 'images', batch_size=5)
    for one, other in zip(single, batched, strict=True):
        boxes = [torch.tensor([box['bbox'] for box in found['boxes']]) for found in (one, other)]
        torch.testing.assert_close(*boxes, rtol=1e-4, atol=1e-3)


def test_each_image_of_a_folder_is_drawn_in_its_own_format(workshop, detector):
    shutil.copytree(detector.data / 'images', 'scenes')
    (workshop.path / 'scenes' / 'notes.txt').write_text('no image')
    written = run(workshop, 'scenes', detector.config, detector.checkpoint, '--score-thr', 0)
    assert [found['image'] for found in written['predictions']] == [
        f'scenes/{number}.jpg' for number in range(1, 6)
    ]
    pictures = workshop.path / 'out' / 'pictures'
    assert {path.name for path in pictures.iterdir()} == {f'{n}.jpg' for n in range(1, 6)}
    for path in pictures.iterdir():
        scene = cv2.imread(f'scenes/{path.name}')
        assert abs(cv2.imread(str(path)).astype(int) - scene).max() > 100  # a box


def test_broken_image_in_a_folder_is_reported_and_the_others_are_done(workshop, trained):
    broken = workshop.data / 'dark' / '1.png'
    broken.write_bytes(broken.read_bytes()[:-100])
    found = workshop.error(
        'infer', workshop.data / 'dark', workshop.config(), trained, '--out', 'out'
    )
    assert found.startswith(f'{broken}: not a whole image')
    written = json.loads((workshop.path / 'out' / 'predictions.json').read_text())
    assert len(written['predictions']) == 2
    assert [failure['image'] for failure in written['failed']] == [str(broken)]


def test_options_change_the_config(workshop, trained):
    option = 'model.backbone.pach_size=8'
    found = workshop.error(
        'infer',
        workshop.data / 'dark',
        workshop.config(),
        trained,
        *('--out', 'out', '--cfg-options', option),
    )
    assert "DefocusMamba has no argument 'pach_size'" in found


def test_bad_input_ends_in_one_line_and_writes_nothing(workshop, trained):
    (workshop.path / 'empty').mkdir()
    torch.save(dict(state_dict=dict(other=torch.ones(1))), 'foreign.pth')
    config, images = workshop.config(), workshop.data / 'dark'
    scope = "default_scope = 'mmengine'"
    for arguments, message in (
        (('nowhere', config, trained), 'nowhere: no such file or folder'),
        (('empty', config, trained), 'empty: no image in this folder; expected .bmp, '),
        ((images, 'nowhere.py', trained), 'config nowhere.py: no such file'),
        ((images, config, 'nowhere.pth'), 'checkpoint nowhere.pth: no such file'),
        ((images, config, 'foreign.pth'), 'foreign.pth does not fit ImageClassifier: 29 missing'),
        ((images, workshop.config(scope), trained), 'expected default_scope mmdet or mmpretrain'),
    ):
        assert message in workshop.error('infer', *arguments, '--out', 'out')
    for score in ('-0.1', '1.01', 'nan'):
        message = workshop.error(
            'infer', images, config, trained, '--out', 'out', f'--score-thr={score}'
        )
        assert message == f'--score-thr: expected a number in [0, 1], got {float(score)}'
    assert not (workshop.path / 'out').exists()


def test_thin_images_are_found_and_drawn(workshop, detector, trained):
    (workshop.path / 'thin').mkdir()
    for height, width in ((1, 500), (3, 300), (40, 600), (500, 1), (1, 3000)):
        scene = np.full((height, width, 3), 90, np.uint8)
        cv2.imwrite(f'thin/{height}x{width}.png', scene)
    for config, checkpoint in (
        (detector.config, detector.checkpoint),
        (workshop.config(), trained),
    ):
        written = run(workshop, 'thin', config, checkpoint)
        assert len(written['predictions']) == 5


def test_only_regular_files_are_read(workshop, trained):
    os.mkfifo(workshop.data / 'dark' / 'pipe.png')
    (workshop.data / 'dark' / 'folder.png').mkdir()
    written = run(workshop, workshop.data / 'dark', workshop.config(), trained)
    assert len(written['predictions']) == 3
    found = workshop.error(
        'infer', workshop.data / 'dark' / 'pipe.png', workshop.config(), trained, '--out', 'out'
    )
    assert found.endswith('pipe.png: no regular file')


def test_whatever_is_wrong_with_a_file_does_not_stop_the_others(workshop, trained, monkeypatch):
    prepare = Classifier.prepare

    def fail(predictor, image, name):
        if name.endswith('1.png'):
            raise MemoryError('too large')
        return prepare(predictor, image, name)

    monkeypatch.setattr(Classifier, 'prepare', fail)
    message = workshop.error(
        'infer', workshop.data / 'dark', workshop.config(), trained, '--out', 'out'
    )
    assert message.endswith('1.png: MemoryError: too large')
    written = json.loads((workshop.path / 'out' / 'predictions.json').read_text())
    assert len(written['predictions']) == 2


def test_a_checkpoint_of_other_classes_is_refused(workshop, trained):
    config = workshop.config("test_dataloader['dataset']['classes'] = ('light', 'dark')\n")
    found = workshop.error('infer', workshop.data / 'dark', config, trained, '--out', 'out')
    assert "trained on classes 'dark', 'light', but those of test_dataloader" in found


@pytest.mark.parametrize(
    'wrap',
    [
        "dict(type='RepeatDataset', times=2, dataset={0})",
        "dict(type='ConcatDataset', datasets=[{0}, {0}])",
        "dict(type='KFoldDataset', fold=0, num_splits=2, dataset={0})",
    ],
)
def test_the_pipeline_of_a_wrapped_dataset_is_used(workshop, trained, wrap):
    inner = "test_dataloader['dataset']"
    config = workshop.config(f'{inner} = {wrap.format(inner)}\n')
    written = run(workshop, workshop.data / 'dark', config, trained)
    assert len(written['predictions']) == 3


def test_a_folder_that_the_pictures_would_replace_is_refused(workshop, trained):
    shutil.copytree(workshop.data / 'dark', workshop.path / 'out' / 'pictures')
    found = workshop.error(
        'infer', 'out/pictures', workshop.config(), trained, '--out', 'out', '--device', 'cpu'
    )
    assert found.startswith('--out: out/pictures/0.png is read, and would be replaced')
    assert not (workshop.path / 'out' / 'predictions.json').exists()


def test_each_image_has_a_picture_of_its_own_where_names_are_alike(workshop, trained):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(workshop.data / 'dark' / '0.png.gif')
    (workshop.data / 'dark' / '1.png').rename(workshop.data / 'dark' / '0.png.gif.png')
    written = run(workshop, workshop.data / 'dark', workshop.config(), trained)
    pictures = {found['picture'] for found in written['predictions']}
    assert pictures == {str(path) for path in Path('out', 'pictures').iterdir()}
    assert len(pictures) == 4


@pytest.mark.parametrize('empty', ['images', 'checkpoint', '--out'])
def test_an_empty_argument_is_not_the_current_folder(workshop, capfd, empty):
    given = {'images': 'a.png', 'config': 'config.py', 'checkpoint': 'a.pth', '--out': 'out'}
    images, config, checkpoint, out = {**given, empty: ''}.values()
    with pytest.raises(SystemExit):
        workshop.run('infer', images, config, checkpoint, '--out', out)
    assert f'argument {empty}: expected some text' in capfd.readouterr().err


def test_what_is_left_out_of_a_folder_is_counted(workshop, trained, capfd):
    (workshop.data / 'dark' / 'photo.heic').touch()
    (workshop.data / 'dark' / 'below').mkdir()
    run(workshop, workshop.data / 'dark', workshop.config(), trained)
    last = capfd.readouterr().out.splitlines()[-1]
    assert last == f'left out of {workshop.data / "dark"}: 1 file (.heic) and 1 folder'


def test_pictures_that_cannot_be_written_are_one_line_before_anything_is_computed(
    workshop, trained, monkeypatch
):
    (workshop.path / 'out').mkdir()
    (workshop.path / 'out' / 'pictures').touch()
    monkeypatch.setattr(Classifier, 'predict', None)
    found = workshop.error(
        'infer', workshop.data / 'dark', workshop.config(), trained, '--out', 'out'
    )
    assert found == 'out/pictures: File exists'
