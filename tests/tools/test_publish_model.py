import hashlib

import pytest
import torch

from mmdefocus.checkpoints.files import read_checkpoint


@pytest.fixture
def published(workshop, trained):
    """The published files, by their suffix."""
    workshop.run('publish_model', trained, 'new/tiny.pth')
    return {path.suffix: path for path in (workshop.path / 'new').iterdir()}


def test_names_are_the_hashes_of_the_files(published):
    assert published.keys() == {'.pth', '.safetensors'}
    for path in published.values():
        name, _, digest = path.stem.rpartition('-')
        assert name == 'tiny'
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest)
        assert len(digest) == 8


def test_holds_weights_and_class_names_and_nothing_of_the_training(published, trained):
    before = torch.load(trained, weights_only=False)
    for path in published.values():
        found = read_checkpoint(path)
        assert found.keys() == {'state_dict', 'meta'}
        expected = {name for name in before['state_dict'] if 'aux_fc' not in name}
        assert found['state_dict'].keys() == expected < before['state_dict'].keys()
        for name, weight in found['state_dict'].items():
            assert torch.equal(weight, before['state_dict'][name])
        assert tuple(found['meta']['dataset_meta']['classes']) == ('dark', 'light')


def test_the_same_weights_have_the_same_name(workshop, trained, published):
    workshop.run('publish_model', trained, 'again/tiny.pth')
    names = {path.name for path in (workshop.path / 'again').iterdir()}
    assert names == {path.name for path in published.values()}


def test_is_tested_and_predicts_as_the_checkpoint_of_the_training(workshop, trained, published):
    from mmpretrain import ImageClassificationInferencer

    loader = "test_dataloader['dataset']['pipeline'][0]['type'] = 'LoadImageFromFile'"
    config = workshop.config(loader)
    metrics = []
    for path in (trained, published['.pth']):
        workshop.run('test', config, path, '--out', 'metrics.json')
        metrics.append((workshop.path / 'metrics.json').read_text())
    assert metrics[0] == metrics[1]

    image = str(workshop.data / 'dark' / '0.png')
    scores = [
        ImageClassificationInferencer(config, str(path), device='cpu')(image)[0]['pred_scores']
        for path in (trained, published['.pth'])
    ]
    assert (scores[0] == scores[1]).all()


def test_safetensors_serve_inference(workshop, published):
    arguments = (workshop.data / 'dark', workshop.config(), published['.safetensors'])
    with pytest.raises(SystemExit) as stop:
        workshop.run('infer', *arguments, '--out', 'out')
    assert stop.value.code == 0
    assert '"name": "dark"' in (workshop.path / 'out' / 'predictions.json').read_text()


def test_bad_input_ends_in_one_line_and_writes_nothing(workshop, trained):
    torch.save({}, 'empty.pth')
    for arguments, message in (
        (('nowhere.pth', 'new/a.pth'), 'checkpoint nowhere.pth: no such file'),
        (
            ('empty.pth', 'new/a.pth'),
            'checkpoint empty.pth: holds no weights; expected a `state_dict`',
        ),
        ((trained, 'new/a.txt'), 'OUT: expected a name that ends in .pth, got new/a.txt'),
    ):
        assert workshop.error('publish_model', *arguments) == message
    assert not (workshop.path / 'new').exists()
