import tarfile

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler

from mmdefocus.datasets import ImageTextShards
from mmdefocus.datasets.pairs.index import index_file, scan
from mmdefocus.utils.errors import InputError

DECODE = [dict(type='DecodeImage')]


@pytest.fixture
def folder(tmp_path, write_shard, members):
    """Two shards of three and of two samples."""
    write_shard(tmp_path / 'part-00.tar', members(3))
    write_shard(tmp_path / 'part-01.tar', members(2, first=3))
    return tmp_path


def captions(dataset):
    return [dataset[index]['caption'] for index in range(len(dataset))]


def test_samples_of_all_shards_come_in_their_order(folder):
    dataset = ImageTextShards('part-{00..01}.tar', str(folder), DECODE)
    assert captions(dataset) == [f'caption {number}' for number in range(5)]
    assert [round(dataset[i]['img'].mean()) for i in range(5)] == [0, 10, 20, 30, 40]


def test_a_second_dataset_reads_the_index_and_not_the_shard(folder, monkeypatch):
    first = captions(ImageTextShards('part-00.tar', str(folder)))
    monkeypatch.setattr(tarfile, 'open', lambda *_: pytest.fail('the shard is read again'))
    assert captions(ImageTextShards('part-00.tar', str(folder))) == first


@pytest.mark.parametrize('rank', [0, 1])
def test_processes_begin_to_index_at_different_shards(folder, monkeypatch, rank):
    done = []

    def record(shard, index_root):
        done.append(shard.name)
        return index_file(shard, index_root)

    monkeypatch.setattr('mmdefocus.datasets.pairs.shards.index_file', record)
    monkeypatch.setattr('mmdefocus.datasets.pairs.shards.get_dist_info', lambda: (rank, 2))
    assert len(ImageTextShards('part-{00..01}.tar', str(folder))) == 5
    assert done[0] == f'part-0{rank}.tar' and len(done) == 2


def test_a_changed_shard_gets_a_new_index(folder, write_shard, members):
    assert len(ImageTextShards('part-00.tar', str(folder))) == 3
    write_shard(folder / 'part-00.tar', members(4))
    assert len(ImageTextShards('part-00.tar', str(folder))) == 4


def test_incomplete_samples_are_counted_by_reason(tmp_path, write_shard, members):
    whole = members(4)
    del whole['0001.jpg'], whole['0002.txt'], whole['0002.json']
    index = scan(write_shard(tmp_path / 'part.tar', whole))
    assert index.samples['key'].tolist() == [b'0000', b'0003']
    assert index.left_out == {'no image': 1, 'no caption': 1}


def test_a_shard_that_is_cut_short_keeps_what_is_whole(folder):
    path = folder / 'part-00.tar'
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'caption 2') - 600])
    index = scan(path)
    assert index.samples['key'].tolist() == [b'0000', b'0001']
    assert index.left_out['no caption'] == 1


@pytest.mark.parametrize('name', ['../outside.jpg', '/etc/outside.jpg'])
def test_names_of_members_are_keys_and_no_paths(tmp_path, write_shard, members, name):
    content = members(1)
    content[name] = content['0000.jpg']
    content[name.replace('jpg', 'txt')] = b'outside'
    folder = tmp_path / 'data'
    folder.mkdir()
    write_shard(folder / 'part.tar', content)
    assert captions(ImageTextShards('part.tar', str(folder))) == ['caption 0', 'outside']
    assert {path.name for path in tmp_path.rglob('*') if path.is_file()} == {
        'part.tar',
        index_file(folder / 'part.tar', folder / 'index').path.name,
    }


def test_links_are_left_out(tmp_path, write_shard, members):
    path = write_shard(tmp_path / 'part.tar', members(1))
    with tarfile.open(path, 'a') as tar:
        link = tarfile.TarInfo('0007.jpg')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        tar.addfile(link)
    assert scan(path).left_out == {'no plain file': 1}


def test_broken_members_are_skipped_and_counted(tmp_path, write_shard, members):
    content = members(4)
    content['0001.jpg'] = content['0001.jpg'][:100]
    content['0002.txt'] = b'  '
    write_shard(tmp_path / 'part.tar', content)
    dataset = ImageTextShards('part.tar', str(tmp_path), DECODE, max_broken=3)
    assert captions(dataset) == ['caption 0', 'caption 3', 'caption 3', 'caption 3']
    assert dataset.broken.count == 3


def test_too_many_broken_members_stop_the_run(tmp_path, write_shard, members):
    content = members(3)
    content['0001.jpg'] = b'nothing'
    write_shard(tmp_path / 'part.tar', content)
    dataset = ImageTextShards('part.tar', str(tmp_path), DECODE, max_broken=0)
    with pytest.raises(InputError, match=r'1 broken samples, more than max_broken=0; .*0001'):
        dataset[1]


def test_too_many_incomplete_samples_stop_the_run(tmp_path, write_shard, members):
    content = members(3)
    del content['0001.jpg']
    write_shard(tmp_path / 'part.tar', content)
    with pytest.raises(InputError, match=r'max_broken=0.*1 x no image'):
        ImageTextShards('part.tar', str(tmp_path))


def test_missing_shard_is_named(folder):
    with pytest.raises(InputError, match=r'part-02.tar: no such shard'):
        ImageTextShards('part-{00..02}.tar', str(folder))


def test_file_that_is_no_shard_is_named(tmp_path):
    (tmp_path / 'part.tar').write_text('nothing of the kind' * 100)
    with pytest.raises(InputError, match=r'part.tar: expected a tar file'):
        ImageTextShards('part.tar', str(tmp_path))


def test_shard_outside_of_the_folder_is_refused(folder):
    inside = folder / 'inside'
    inside.mkdir()
    with pytest.raises(InputError, match='shards: expected names in'):
        ImageTextShards('../part-00.tar', str(inside))


def test_order_is_a_function_of_seed_and_epoch(folder):
    def order(seed, epoch):
        dataset = ImageTextShards('part-{00..01}.tar', str(folder))
        sampler = DefaultSampler(dataset, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        return [dataset[index]['caption'] for index in sampler]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(*key)) for key in ((0, 0), (0, 1), (9, 0))}) == 3


def test_captions_of_json_are_read_where_there_is_no_text(tmp_path, write_shard, members):
    content = members(1)
    del content['0000.txt']
    content['0000.json'] = b'{"caption": "from json"}'
    write_shard(tmp_path / 'part.tar', content)
    assert captions(ImageTextShards('part.tar', str(tmp_path))) == ['from json']


def test_index_is_data_and_never_code(folder):
    path = index_file(folder / 'part-00.tar', folder / 'index').path
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == {'samples', 'length', 'left_out'}
