"""Damaged files are refused in one line or give exactly the tensors that were saved.

`MMDEFOCUS_MUTANTS=1000` sets how many mutants of each format are tried.
"""

import os
import struct
import zipfile
from io import BytesIO

import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mmdefocus.checkpoints.files import read_checkpoint, write_checkpoint
from mmdefocus.utils.errors import InputError

MUTANTS = int(os.environ.get('MMDEFOCUS_MUTANTS', '100'))
DIRECTORY_ENTRY = b'PK\x01\x02'


def weights():
    generator = torch.Generator().manual_seed(0)
    return {f'layer.{i}.weight': torch.randn(4, 5, generator=generator) for i in range(4)}


def make(folder, kind):
    path = folder / f'original{".safetensors" if kind == "safetensors" else ".pth"}'
    content = dict(state_dict=weights(), meta=dict(epoch=1))
    if kind == 'pytorch':
        content['message_hub'] = dict(loss=HistoryBuffer([1.0, 2.0], [1, 1]))
        torch.save(content, path)
    else:
        write_checkpoint(content, path)
    return path


def flip(data, draw):
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]


def cut(data, draw):
    return data[: draw(st.integers(0, len(data) - 1))]


def remove(data, draw):
    first, last = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    return data[:first] + data[last:]


def move(data, draw):
    """Copies a part over another one, as of a record over a record."""
    size = draw(st.integers(1, 200))
    first, last = draw(st.tuples(*[st.integers(0, max(0, len(data) - size))] * 2))
    return data[:last] + data[first : first + size] + data[last + size :]


def directory(data, draw):
    """Changes a field in the directory of the archive: sizes, checksums, places, names."""
    places = [i for i in range(len(data)) if data.startswith(DIRECTORY_ENTRY, i)]
    if not places:
        return flip(data, draw)
    at = draw(st.sampled_from(places)) + draw(st.integers(4, 60))
    value = draw(st.one_of(st.integers(0, 300), st.sampled_from([2**31, 2**32 - 1])))
    return data[:at] + struct.pack('<I', value) + data[at + 4 :]


def header(data, draw):
    """Changes one of the first bytes, where a format says what it is and how long."""
    at = draw(st.integers(0, min(len(data) - 1, 400)))
    return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]


def swap_records(data, draw):
    """Exchanges or halves records, with the checksums made to fit."""
    if not data.startswith(b'PK'):
        return flip(data, draw)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
        comment = archive.comment
    one, other = draw(st.tuples(*[st.sampled_from(sorted(records))] * 2))
    if comment:
        records[one], records[other] = records[other], records[one]
    else:
        records[one] = records[one][: draw(st.integers(0, len(records[one])))]
    changed = BytesIO()
    with zipfile.ZipFile(changed, 'w') as archive:
        archive.comment = comment
        for name, content in records.items():
            archive.writestr(name, content)
    return changed.getvalue()


CHANGES = (flip, cut, remove, move, directory, header, swap_records)


@pytest.mark.parametrize('kind', ['pytorch', 'ours', 'safetensors'])
def test_mutants_are_refused_or_equal_the_original(tmp_path, kind):
    path = make(tmp_path, kind)
    data, mutant = path.read_bytes(), path.with_name(f'mutant{path.suffix}')

    @seed(0)
    @settings(
        max_examples=MUTANTS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(draws):
        change = draws.draw(st.sampled_from(CHANGES))
        mutant.write_bytes(change(data, draws.draw))
        try:
            found = read_checkpoint(mutant)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            return
        found = found.get('state_dict', found)
        assert list(found) == list(weights())
        for name, weight in weights().items():
            assert found[name].dtype == weight.dtype
            assert torch.equal(found[name], weight)

    check()


@pytest.mark.parametrize('keep', [0.5, 0.0])
@pytest.mark.parametrize('number', range(4))
def test_halved_and_emptied_records_are_named(tmp_path, number, keep):
    path = make(tmp_path, 'pytorch')
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    name = f'original/data/{number}'
    records[name] = records[name][: int(keep * len(records[name]))]
    with zipfile.ZipFile(path, 'w') as archive:
        for record, content in records.items():
            archive.writestr(record, content)
    with pytest.raises(InputError, match=rf'record {name} holds \d+ bytes, expected 20 numbers'):
        read_checkpoint(path)


def test_compressed_records_are_refused(tmp_path):
    path = tmp_path / 'bomb.pth'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('bomb/data.pkl', bytes(10**7))
    with pytest.raises(InputError, match=r'data\.pkl is compressed'):
        read_checkpoint(path)


def test_changed_numbers_of_foreign_safetensors_keep_their_shapes(tmp_path):
    """The format has no checksum: shapes and sizes are all that can be compared."""
    path = tmp_path / 'foreign.safetensors'
    save_file(weights(), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match='cut short'):
        read_checkpoint(path)
