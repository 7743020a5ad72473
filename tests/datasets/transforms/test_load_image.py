import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features
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


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.bmp'])
@pytest.mark.parametrize('size', [1, 100, 100_000])
def test_accepts_bytes_after_the_end_of_an_image(tmp_path, suffix, size):
    results = write(tmp_path / f'e{suffix}')
    expected = LoadImage().transform(dict(results))['img']
    with open(results['img_path'], 'ab') as file:
        file.write(b'\0' * size)
    np.testing.assert_array_equal(LoadImage().transform(results)['img'], expected)


@pytest.mark.parametrize('flags', [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]])
def test_names_a_jpeg_whose_data_are_damaged_before_its_end(tmp_path, flags):
    data = bytearray(cv2.imencode('.jpg', cv2.resize(IMAGE, (300, 400)), flags)[1].tobytes())
    middle = len(data) // 2
    data[middle:-2] = data[middle + 4000 : -2]
    path = tmp_path / 'damaged.jpg'
    path.write_bytes(data)
    assert data.endswith(b'\xff\xd9')
    with pytest.raises(InputError, match=r'damaged.jpg: not a whole image .*: Corrupt JPEG data'):
        LoadImage().transform(dict(img_path=str(path)))


def test_names_a_png_whose_data_are_damaged(tmp_path):
    results = write(tmp_path / 'damaged.png')
    data = bytearray((tmp_path / 'damaged.png').read_bytes())
    data[len(data) // 2] ^= 0x55
    (tmp_path / 'damaged.png').write_bytes(data)
    with pytest.raises(InputError, match=r'damaged.png: not a whole image'):
        LoadImage().transform(results)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_pixels_of_a_jpeg_are_those_of_opencv_in_every_orientation(tmp_path, mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = str(tmp_path / 'turned.jpg')
    Image.fromarray(cv2.resize(IMAGE, (60, 80))).convert(mode).save(path, exif=exif, quality=90)
    loaded = LoadImage().transform(dict(img_path=path))['img']
    np.testing.assert_array_equal(loaded, cv2.imread(path))


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['.png', '.tiff', '.webp', '.avif'])
def test_pixels_are_those_of_pillow_in_every_orientation(tmp_path, suffix, orientation):
    if suffix == '.avif' and not features.check('avif'):
        pytest.skip('this Pillow has no AVIF')
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = str(tmp_path / f'turned{suffix}')
    options = {'.webp': {'lossless': True}, '.avif': {'subsampling': '4:4:4'}}.get(suffix, {})
    Image.fromarray(cv2.resize(IMAGE, (60, 80))).save(path, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert('RGB'))[..., ::-1]
    loaded = LoadImage().transform(dict(img_path=path))['img']
    assert loaded.shape == expected.shape
    assert np.abs(loaded.astype(int) - expected).max() <= 2


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
@pytest.mark.parametrize('bits', [10, 12, 14, 16])
def test_more_than_8_bits_are_scaled_by_their_data(tmp_path, suffix, bits):
    wide = IMAGE.astype(np.uint16) << (bits - 8)
    cv2.imwrite(str(tmp_path / f'wide{suffix}'), wide)
    loaded = LoadImage().transform(dict(img_path=str(tmp_path / f'wide{suffix}')))['img']
    np.testing.assert_array_equal(loaded, IMAGE)


def test_floats_are_taken_from_0_to_1(tmp_path):
    path = str(tmp_path / 'float.tiff')
    cv2.imwrite(path, IMAGE.astype(np.float32) / 255, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    np.testing.assert_array_equal(LoadImage().transform(dict(img_path=path))['img'], IMAGE)
    cv2.imwrite(path, IMAGE.astype(np.float32), [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    with pytest.raises(InputError, match=r'floats in \[0, 1\], got float32 from 0.0 to'):
        LoadImage().transform(dict(img_path=path))


def test_an_image_of_another_size_than_annotated_is_refused(tmp_path):
    results = write(tmp_path / 'g.png')
    LoadImage().transform(dict(results, width=30, height=40))
    with pytest.raises(InputError, match=r'g.png: 30 x 40 pixels, but annotated as 40 x 30'):
        LoadImage().transform(dict(results, width=40, height=30))


def test_a_folder_in_place_of_an_image_is_refused(tmp_path):
    with pytest.raises(InputError, match='cannot be read: Is a directory'):
        LoadImage().transform(dict(img_path=str(tmp_path)))


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
