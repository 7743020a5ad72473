import hashlib

import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import nn

import mmdefocus.engine  # noqa: F401  registers the reader
from mmdefocus.checkpoints.download import is_remote, local_file
from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.utils.errors import InputError


def test_a_file_is_fetched_once_and_read(site, capfd):
    folder, address = site.folder, site.address
    torch.save(dict(weight=torch.ones(2, 3), bias=torch.ones(2)), folder / 'a.pth')
    module = nn.Linear(3, 2)
    load_checkpoint(module, f'{address}/a.pth')
    assert read_checkpoint(f'{address}/a.pth')['weight'].tolist() == module.weight.tolist()
    assert site.requests == ['/a.pth']
    assert 'MiB' in capfd.readouterr().err


def test_an_exploit_is_fetched_but_not_executed(site, exploit):
    folder, address = site.folder, site.address
    exploit.path.rename(folder / 'exploit.pth')
    with pytest.raises(InputError, match=r'exploit\.pth'):
        load_checkpoint(nn.Linear(1, 1), f'{address}/exploit.pth')


def test_hashes_are_compared(site, tmp_path):
    folder, address = site.folder, site.address
    content = b'something'
    digest = hashlib.sha256(content).hexdigest()
    for name in (f'good-{digest[:8]}.pth', 'bad-00000000.pth', 'plain.pth'):
        (folder / name).write_bytes(content)
    local_file(f'{address}/good-{digest[:8]}.pth')
    assert local_file(f'{address}/plain.pth#sha256={digest}').read_bytes() == content
    for path in ('bad-00000000.pth', f'bad-00000000.pth#sha256={"1" * 64}'):
        with pytest.raises(InputError, match='its SHA-256 is'):
            local_file(f'{address}/{path}')
    assert not list((tmp_path / 'cache').rglob('bad*'))
    local_file(f'{address}/plain.pth').write_bytes(b'other')
    with pytest.raises(InputError, match='another SHA-256'):
        local_file(f'{address}/plain.pth#sha256={digest}')


@pytest.mark.parametrize('name', ['nowhere.pth', 'broken.pth', 'chunks.pth', '', 'a.pth#sha256=12'])
def test_what_cannot_be_fetched_ends_in_one_line_and_leaves_nothing(site, tmp_path, name):
    with pytest.raises(InputError, match=r'^checkpoint http://127\.0\.0\.1.*'):
        local_file(f'{site.address}/{name}')
    assert not list((tmp_path / 'cache').rglob('*.pth'))


@pytest.mark.parametrize(
    'content', [b'<html>busy</html>', b'version https://git-lfs.github.com/spec/v1', b'']
)
def test_a_fetched_file_that_is_no_checkpoint_is_fetched_again(site, content):
    address = f'{site.address}/a.pth'
    (site.folder / 'a.pth').write_bytes(content)
    with pytest.raises(InputError, match=rf'^checkpoint {address} .* what was fetched is deleted'):
        read_checkpoint(address)
    torch.save(dict(a=torch.ones(1)), site.folder / 'a.pth')
    assert read_checkpoint(address)['a'].tolist() == [1]


def test_a_fetched_file_that_cannot_be_opened_is_kept(site, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied')

    address = f'{site.address}/a.pth'
    torch.save(dict(a=torch.ones(1)), site.folder / 'a.pth')
    monkeypatch.setattr('mmdefocus.checkpoints.files._reader', refuse)
    with pytest.raises(InputError, match=r'cannot be read: Permission denied$'):
        read_checkpoint(address)
    assert local_file(address).is_file() and site.requests == ['/a.pth']


@pytest.mark.parametrize('name', ['a b.pth', 'ä.pth', 'a[1]+"|.pth', 'a%20b.pth'])
def test_a_file_may_have_any_name(site, name):
    torch.save(dict(a=torch.ones(1)), site.folder / name.replace('%20', ' '))
    assert read_checkpoint(f'{site.address}/{name}')['a'].tolist() == [1]


@pytest.mark.parametrize('host', ['[::1', 'a:b'])
def test_an_address_of_another_form_ends_in_one_line(site, host):
    with pytest.raises(InputError, match=r'^checkpoint http://.*a\.pth: '):
        local_file(f'http://{host}/a.pth')


@pytest.mark.parametrize('path', ['s3://bucket/a.pth', 'petrel://a.pth', 'pavi://a.pth'])
def test_stores_without_a_public_address_are_refused(path):
    with pytest.raises(InputError, match='copy it to a local file'):
        read_checkpoint(path)


def test_a_local_path_may_look_like_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'odd:').mkdir()
    torch.save(dict(a=torch.ones(1)), tmp_path / 'odd:' / 'a.pth')
    assert not is_remote('odd://a.pth')
    assert read_checkpoint('odd://a.pth')['a'].tolist() == [1]


def test_a_user_without_a_home_is_told_what_to_set(site, monkeypatch):
    def unknown(uid):
        raise KeyError(f'getpwuid(): uid not found: {uid}')

    monkeypatch.setattr('pwd.getpwuid', unknown)
    monkeypatch.delenv('HOME', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', '')
    with pytest.raises(InputError, match='set XDG_CACHE_HOME'):
        local_file(f'{site.address}/a.pth')


@pytest.mark.parametrize('name', ['~backup.pth', '~nobody-of-that-name/a.pth'])
def test_a_tilde_without_a_user_is_a_part_of_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    torch.save(dict(a=torch.ones(1)), tmp_path / name)
    assert read_checkpoint(name)['a'].tolist() == [1]
