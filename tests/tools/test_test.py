import json

import pytest
import torch


def test_writes_metrics_and_draws_each_image(workshop, trained):
    options = ('--out', 'new/metrics.json', '--show-dir', 'drawn', '--work-dir', 'run')
    workshop.run('test', workshop.config(), trained, *options)
    metrics = json.loads((workshop.path / 'new' / 'metrics.json').read_text())
    assert set(metrics) == {'accuracy/top1', 'accuracy/top5'} or 'accuracy/top1' in metrics
    assert [path.name for path in (workshop.path / 'new').iterdir()] == ['metrics.json']
    assert len(list((workshop.path / 'drawn').glob('*.png'))) > 0


def test_needs_no_pretrained_checkpoint(workshop, trained):
    init = "model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='gone.pth')"
    workshop.run('test', workshop.config(init), trained, '--out', 'metrics.json')
    assert (workshop.path / 'metrics.json').exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda weights: weights.pop('backbone.cls_token'), '1 missing (backbone.cls_token)'),
        (lambda weights: weights.update(neck=torch.ones(1)), '1 unexpected (neck)'),
        (
            lambda weights: weights.update({'head.fc.bias': torch.ones(7)}),
            '1 of another shape (head.fc.bias)',
        ),
    ],
)
def test_checkpoint_must_fit_in_full(workshop, trained, change, message):
    checkpoint = torch.load(trained, weights_only=False)
    change(checkpoint['state_dict'])
    torch.save(checkpoint, 'changed.pth')
    found = workshop.error('test', workshop.config(), 'changed.pth', '--out', 'metrics.json')
    assert found.startswith('checkpoint changed.pth does not fit ImageClassifier: ' + message)
    assert not (workshop.path / 'metrics.json').exists()


def test_bad_input_ends_in_one_line(workshop, trained):
    (workshop.path / 'cut_short.pth').write_bytes(trained.read_bytes()[:500])
    config = workshop.config()
    for options, message in (
        ((trained, '--out', 'metrics.txt'), '--out: expected a name that ends in .json'),
        (
            ('cut_short.pth',),
            'checkpoint cut_short.pth (500 bytes): cannot be read; it is cut short',
        ),
        (
            (trained, '--cfg-options', 'test_dataloader.dataset.data_root=nowhere'),
            "data_root 'nowhere' does not exist; to make it: python make_images.py",
        ),
        (
            (trained, '--show-dir', 'drawn', '--cfg-options', 'default_scope=mmengine'),
            "--show-dir: expected default_scope mmdet or mmpretrain, got 'mmengine'",
        ),
    ):
        assert message in workshop.error('test', config, *options)


def test_images_of_equal_names_in_two_folders_are_all_drawn(workshop, trained):
    workshop.run('test', workshop.config(), trained, '--show-dir', 'drawn', '--work-dir', 'run')
    names = {path.name for path in (workshop.path / 'drawn').iterdir()}
    assert names == {f'{kind}__{number}.png' for kind in ('dark', 'light') for number in range(3)}


def test_an_image_of_a_long_name_is_drawn(workshop, trained):
    (workshop.data / 'dark' / '0.png').rename(workshop.data / 'dark' / f'{"x" * 245}.png')
    workshop.run('test', workshop.config(), trained, '--show-dir', 'drawn', '--work-dir', 'run')
    names = {path.name for path in (workshop.path / 'drawn').iterdir()}
    assert len(names) == 6 and sum(name.startswith('dark__xxx') for name in names) == 1


def test_a_checkpoint_of_other_classes_is_refused(workshop, trained):
    config = workshop.config(
        "test_dataloader['dataset'].update(type='FoldersByName', classes=('light', 'dark'))\n"
    )
    found = workshop.error('test', config, trained)
    assert "trained on classes 'dark', 'light', but those of test_dataloader.dataset" in found
