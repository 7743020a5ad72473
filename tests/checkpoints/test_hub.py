import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from torch import nn

import mmdefocus.engine  # noqa: F401  registers the reader
from mmdefocus.checkpoints.files import read_checkpoint, write_checkpoint
from mmdefocus.checkpoints.hub import hub_address
from mmdefocus.utils.errors import InputError

WEIGHTS = dict(weight=torch.ones(2, 3), bias=torch.ones(2))


@pytest.fixture
def hub(site, monkeypatch):
    """A stand-in for the hub; returns a function that puts weights into a repository."""
    monkeypatch.setenv('HF_ENDPOINT', site.address)

    def upload(path: str, revision: str = 'main') -> None:
        file = site.folder / 'some-org' / 'a.model' / 'resolve' / revision / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(WEIGHTS, file)

    return upload


@pytest.mark.parametrize(
    ('path', 'address'),
    [
        ('hf://o/n/a.pth', 'o/n/resolve/main/a.pth'),
        ('HF://o/n@v1.0/b/a.pth', 'o/n/resolve/v1.0/b/a.pth'),
        ('hf://o/n@refs%2Fpr%2F1/a b.pth', 'o/n/resolve/refs%2Fpr%2F1/a%20b.pth'),
        ('hf://o/n/a.pth#sha256=12', 'o/n/resolve/main/a.pth#sha256=12'),
    ],
)
def test_a_file_of_a_repository_has_an_address(path, address, monkeypatch):
    monkeypatch.delenv('HF_ENDPOINT', raising=False)
    assert hub_address(path) == f'https://huggingface.co/{address}'


@pytest.mark.parametrize('path', ['hf://a.pth', 'hf://o/n', 'hf://o/n@/a'])
def test_another_form_is_refused(path):
    with pytest.raises(InputError, match=r'expected hf://org/name\[@revision\]/file'):
        read_checkpoint(path)


@pytest.mark.parametrize(
    'path', ['o/n/../../a', 'o/n/%2e%2e/%2E./a', 'o/n/..%5Ca', '../n/a', 'o/../a', 'o/n@../a']
)
def test_a_path_does_not_lead_out_of_its_repository(path, site, monkeypatch):
    monkeypatch.setenv('HF_ENDPOINT', site.address)
    with pytest.raises(InputError, match=r'expected hf://org/name\[@revision\]/file'):
        read_checkpoint(f'hf://{path}')
    assert not site.requests


@pytest.mark.parametrize('kind', ['datasets', 'spaces'])
def test_a_repository_of_no_model_is_refused(kind):
    with pytest.raises(InputError, match=f'of a model; for a file in {kind} give its address'):
        hub_address(f'hf://{kind}/org/name/a.pth')


def test_a_file_that_is_not_there_or_not_public_ends_with_what_to_do(hub, site):
    with pytest.raises(InputError, match='; check the address, and copy a file that is not public'):
        read_checkpoint('hf://some-org/a.model/a.pth')


def test_weights_are_fetched_once_and_loaded(hub, site):
    hub('model.safetensors')
    path = 'hf://some-org/a.model/model.safetensors'
    module = nn.Linear(3, 2)
    load_checkpoint(module, path)
    assert torch.equal(read_checkpoint(path)['weight'], module.weight)
    assert site.requests == ['/some-org/a.model/resolve/main/model.safetensors']


def test_every_revision_is_a_file_of_its_own(hub, site):
    hub('model.pth', revision='v2')
    assert read_checkpoint('hf://some-org/a.model@v2/model.pth')['bias'].tolist() == [1, 1]
    with pytest.raises(InputError, match=r'resolve/v1/model\.pth: cannot be fetched: '):
        read_checkpoint('hf://some-org/a.model@v1/model.pth')


def test_an_init_cfg_may_name_a_hub(hub):
    from mmengine.model import BaseModule

    class Linear(BaseModule):
        def __init__(self, init_cfg):
            super().__init__(init_cfg)
            self.weight = nn.Parameter(torch.zeros(2, 3))
            self.bias = nn.Parameter(torch.zeros(2))

    hub('model.pth')
    rule = Config(dict(type='Pretrained', checkpoint='hf://some-org/a.model/model.pth'))
    module = Linear(rule._cfg_dict)
    module.init_weights()
    assert module.weight.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_an_exploit_on_a_hub_is_not_executed(hub, site, exploit):
    hub('model.pth')
    exploit.path.rename(site.folder / 'some-org' / 'a.model' / 'resolve' / 'main' / 'model.pth')
    with pytest.raises(InputError, match=r'model\.pth'):
        read_checkpoint('hf://some-org/a.model/model.pth')
