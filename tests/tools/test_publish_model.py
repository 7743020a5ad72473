import hashlib
from types import SimpleNamespace

import pytest
import torch
import yaml

from mmdefocus.apis import Inferencer
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


def test_published_files_do_not_have_the_paths_of_the_training(published, trained):
    place = str(trained.parent).encode()
    assert place in trained.read_bytes()
    assert not any(place in path.read_bytes() for path in published.values())


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
    (workshop.path / 'bare.py').write_text("default_scope = 'mmpretrain'")
    message = workshop.error('publish_model', trained, 'new', '--hub', 'bare.py')
    assert message == "bare.py: the config has no 'model'"
    assert not (workshop.path / 'new').exists()


@pytest.fixture
def hub_folder(workshop, trained):
    """A folder that is ready for a hub, with the config that it was made from."""
    pretrained = "model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='/a/b.pth')\n"
    config = workshop.config(f"{pretrained}load_from = '/c/d.pth'\nwork_dir = '/e'\n")
    workshop.run('publish_model', trained, 'hub/tiny', '--hub', config)
    return SimpleNamespace(path=workshop.path / 'hub' / 'tiny', config=config)


def test_folder_for_a_hub_has_card_config_and_weights(hub_folder):
    assert {path.name for path in hub_folder.path.iterdir()} == {
        *('README.md', 'config.py', 'model.safetensors')
    }
    card = (hub_folder.path / 'README.md').read_text()
    header = yaml.safe_load(card.split('---')[1])
    assert header['pipeline_tag'] == 'image-classification'
    assert header['library_name'] == 'mmdefocus' and 'DefocusMamba' in header['tags']
    assert '2 classes: dark, light.' in card


def test_the_card_of_a_hub_folder_is_one_for_its_library(hub_folder):
    hub = pytest.importorskip('huggingface_hub')
    card = hub.ModelCard.load(hub_folder.path / 'README.md')
    assert card.data.library_name == 'mmdefocus' and card.data.pipeline_tag


def test_the_config_of_a_hub_folder_names_no_file_of_a_training(hub_folder):
    text = (hub_folder.path / 'config.py').read_text()
    assert 'DefocusMamba' in text and '.pth' not in text and 'work_dir' not in text


def test_what_a_hub_folder_names_of_this_machine_is_told(workshop, trained, capfd):
    config = workshop.config("log_folder = '/home/me/logs'\n")
    workshop.run('publish_model', trained, 'hub/tiny', '--hub', config)
    (line,) = [x for x in capfd.readouterr().out.splitlines() if 'on this machine' in x]
    assert line.startswith('hub/tiny/config.py names') and '/home/me/logs' in line


def test_a_hub_folder_predicts_from_where_it_is_and_from_a_hub(
    workshop, trained, hub_folder, site, monkeypatch
):
    image = workshop.data / 'dark' / '0.png'
    config = str(hub_folder.path / 'config.py')
    monkeypatch.setenv('HF_ENDPOINT', site.address)
    (site.folder / 'org' / 'tiny' / 'resolve').mkdir(parents=True)
    (site.folder / 'org' / 'tiny' / 'resolve' / 'main').symlink_to(hub_folder.path)
    weights = (trained, hub_folder.path / 'model.safetensors', 'hf://org/tiny/model.safetensors')
    found = [Inferencer(config, path, 'cpu')(image) for path in weights]
    assert found[0] == found[1] == found[2]


def test_a_hub_folder_of_a_detector_predicts(workshop, detector):
    workshop.run('publish_model', detector.checkpoint, 'hub/dino', '--hub', detector.config)
    folder = workshop.path / 'hub' / 'dino'
    image = detector.data / 'images' / '1.jpg'
    published = Inferencer(folder / 'config.py', folder / 'model.safetensors', 'cpu')
    assert published(image) == Inferencer(detector.config, detector.checkpoint, 'cpu')(image)


def test_a_folder_for_a_hub_has_the_classes_of_its_config(workshop, trained):
    config = workshop.config("test_dataloader['dataset']['metainfo'] = dict(classes=('a', 'b'))")
    found = workshop.error('publish_model', trained, 'new', '--hub', config)
    assert 'trained on classes' in found and 'test_dataloader.dataset' in found
    assert not (workshop.path / 'new').exists()


def test_training_starts_from_a_hub(workshop, hub_folder, site, monkeypatch):
    monkeypatch.setenv('HF_ENDPOINT', site.address)
    (site.folder / 'org' / 'tiny' / 'resolve').mkdir(parents=True)
    (site.folder / 'org' / 'tiny' / 'resolve' / 'v1').symlink_to(hub_folder.path)
    rate_0 = "optim_wrapper['optimizer']['lr'] = 0.0\n"
    source = "load_from = 'hf://org/tiny@v1/model.safetensors'\n"
    config = workshop.config(f'{rate_0}{source}train_cfg = dict(max_epochs=1)\n')
    workshop.run('train', config, '--work-dir', 'run')
    began = read_checkpoint(hub_folder.path / 'model.safetensors')['state_dict']
    ended = read_checkpoint('run/epoch_1.pth')['state_dict']
    assert all(torch.equal(weight, ended[name]) for name, weight in began.items())


def test_a_folder_for_a_hub_is_new_and_its_config_fits(workshop, trained, detector):
    (workshop.path / 'there').mkdir()
    config = workshop.config()
    assert workshop.error('publish_model', trained, 'there', '--hub', config) == (
        'OUT: expected a new folder, there exists'
    )
    found = workshop.error('publish_model', trained, 'new', '--hub', detector.config)
    assert 'does not fit DefocusDINO' in found
    assert not (workshop.path / 'new').exists()
