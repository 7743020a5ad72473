"""A checkpoint at an address is fetched and read as one on this machine, by every tool."""

import shutil

import pytest
import torch

from mmdefocus.checkpoints.files import read_checkpoint


@pytest.fixture
def address(site, trained):
    """The address of a trained checkpoint."""
    shutil.copy(trained, site.folder)
    return f'{site.address}/{trained.name}'


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_publishes_what_is_at_an_address(workshop, address, trained):
    for source, out in ((address, 'fetched/a.pth'), (trained, 'local/a.pth')):
        workshop.run('publish_model', source, out)
    assert names(workshop.path / 'fetched') == names(workshop.path / 'local')


def test_selects_classes_of_what_is_at_an_address(workshop, address):
    (workshop.path / 'rows.txt').write_text('1')
    options = ('--class-map', 'rows.txt', '--auxiliary')
    workshop.run('model_converters/select_classes', address, 'one.pth', *options)
    assert len(read_checkpoint('one.pth')['state_dict']['head.aux_fc.weight']) == 1


def test_converts_what_is_at_an_address(workshop, address, site):
    converter = 'model_converters/from_official'
    released = site.folder / 'released.pth'
    workshop.run(converter, address, released, '--kind', 'classifier', '--reverse')
    workshop.run(converter, f'{site.address}/released.pth', 'back.pth', '--kind', 'classifier')
    found = read_checkpoint('back.pth')
    assert found['meta']['source'] == 'released.pth'
    for name, weight in read_checkpoint(address)['state_dict'].items():
        assert torch.equal(found['state_dict'][name], weight)


def test_tests_and_resumes_what_is_at_an_address(workshop, address, site):
    workshop.run('test', workshop.config(), address, '--out', 'metrics.json')
    length = ('--cfg-options', 'train_cfg.max_epochs=2')
    workshop.run('train', workshop.config(), '--resume', address, '--work-dir', 'run', *length)
    assert [path.name for path in (workshop.path / 'run').glob('*.pth')] == ['epoch_2.pth']
    assert site.requests == ['/epoch_1.pth']


@pytest.mark.parametrize(
    ('tool', 'options'),
    [
        ('publish_model', ('a.pth',)),
        ('model_converters/select_classes', ('a.pth', '--class-map', 'rows.txt')),
        ('model_converters/from_official', ('a.pth', '--kind', 'classifier')),
    ],
)
def test_what_cannot_be_fetched_is_one_line(workshop, site, tool, options):
    (workshop.path / 'rows.txt').write_text('0')
    found = workshop.error(tool, f'{site.address}/nowhere.pth', *options)
    assert found.startswith(f'checkpoint {site.address}/nowhere.pth: cannot be fetched')
    assert not list(workshop.path.glob('a*.pth'))
