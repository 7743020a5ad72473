import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmdefocus.datasets.transforms import LoadImage
from mmdefocus.utils.errors import InputError, explain

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def write(path, keep=1.0):
    """Writes the image in the format of the path's suffix, or only the first part of it."""
    data = cv2.imencode(path.suffix, IMAGE)[1].tobytes()
    path.write_bytes(data[: int(keep * len(data))])
    return dict(img_path=str(path))


def test_loads_an_image(tmp_path):
    results = LoadImage(to_float32=True).transform(write(tmp_path / 'a.png'))
    np.testing.assert_array_equal(results['img'], IMAGE.astype(np.float32))
    assert results['img'].dtype == np.float32
    assert results['img_shape'] == results['ori_shape'] == (40, 30)


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp'])
@pytest.mark.parametrize('keep', [0.0, 0.01, 0.6, 0.98])
def test_names_a_file_that_is_cut_short(tmp_path, suffix, keep, backend):
    path = tmp_path / f'b{suffix}'
    with pytest.raises(InputError, match=rf'b\{suffix}: not a whole image \(\d+ bytes\)'):
        LoadImage(imdecode_backend=backend).transform(write(path, keep))


def test_names_a_file_of_another_kind(tmp_path):
    path = tmp_path / 'c.png'
    path.write_text('a text')
    with pytest.raises(InputError, match=r'c\.png: not a whole image'):
        LoadImage().transform(dict(img_path=str(path)))


def test_names_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r'd\.png: no such image'):
        LoadImage().transform(dict(img_path=str(tmp_path / 'd.png')))


def test_accepts_bytes_after_the_end_of_a_jpeg(tmp_path):
    results = write(tmp_path / 'e.jpg')
    with open(results['img_path'], 'ab') as file:
        file.write(b'\0' * 100)
    assert LoadImage().transform(results)['img'].shape == IMAGE.shape


class Images:
    """A dataset of one image."""

    def __init__(self, results):
        self.results = results

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return LoadImage().transform(self.results)['img']


def test_error_from_a_worker_is_one_line_that_names_the_file(tmp_path):
    path = tmp_path / 'f.jpg'
    loader = DataLoader(Images(write(path, 0.5)), num_workers=1)
    with pytest.raises(InputError) as caught:
        next(iter(loader))
    message = explain(caught.value)
    assert message.startswith(f'{path}: not a whole image')
    assert '\n' not in message
