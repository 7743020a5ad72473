import numpy as np
import pytest
from PIL import Image

from mmdefocus.datasets.strips import open_strips
from mmdefocus.utils.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (75, 50, 3), dtype=np.uint8)
LEVEL = {'tile': (16, 16), 'photometric': 'rgb'}


@pytest.fixture
def tifffile():
    return pytest.importorskip('tifffile')


def read(path, rows=20, level=0):
    """Returns the image, put together from strips, and how high they were."""
    strips = open_strips(path, level)
    found = list(strips.of(rows))
    whole = np.concatenate(found)
    assert whole.shape == (strips.height, strips.width, 3)
    return whole, [len(strip) for strip in found]


def error_of(path, level=0):
    with pytest.raises(InputError) as error:
        read(path, level=level)
    message = str(error.value)
    assert '\n' not in message
    return message


@pytest.mark.parametrize(
    'options', [{'tile': (16, 32)}, {'rowsperstrip': 8}, {'tile': (16, 16), 'compression': 'zlib'}]
)
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_tiffs_are_read_row_by_row(tmp_path, tifffile, options, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (75, 50, channels), dtype=np.uint8)
    kind = 'minisblack' if channels == 1 else 'rgb'
    extra = {'extrasamples': ['unassalpha']} if channels == 4 else {}
    saved = pixels[..., 0] if channels == 1 else pixels
    tifffile.imwrite(tmp_path / 'x.tif', saved, photometric=kind, **options, **extra)
    found, heights = read(tmp_path / 'x.tif')
    assert heights == [20, 20, 20, 15]
    expected = pixels.repeat(3, 2) if channels == 1 else pixels[..., :3]
    np.testing.assert_array_equal(found, expected)


def test_a_level_of_a_pyramid_can_be_chosen(tmp_path, tifffile):
    with tifffile.TiffWriter(tmp_path / 'x.tif') as file:
        file.write(PIXELS[:64, :48], subifds=1, **LEVEL)
        file.write(PIXELS[:64:2, :48:2], subfiletype=1, **LEVEL)
    found, _ = read(tmp_path / 'x.tif', level=1)
    np.testing.assert_array_equal(found, PIXELS[:64:2, :48:2])
    assert 'has levels 0 to 1, got 2' in error_of(tmp_path / 'x.tif', level=2)


def test_tiles_that_a_sparse_file_leaves_out_are_black(tmp_path, tifffile):
    tiles = iter([PIXELS[:16, :16].copy(), None, PIXELS[16:32, :16].copy(), None])
    tifffile.imwrite(tmp_path / 'x.tif', tiles, shape=(32, 32, 3), dtype='uint8', **LEVEL)
    expected = np.zeros((32, 32, 3), np.uint8)
    expected[:, :16] = PIXELS[:32, :16]
    found, _ = read(tmp_path / 'x.tif')
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('compression', ['jpeg', 'tiff_lzw'])
def test_compressed_tiffs_have_their_colours(tmp_path, tifffile, compression):
    pytest.importorskip('imagecodecs')
    smooth = np.zeros((32, 32, 3), np.uint8)
    smooth[..., 0], smooth[..., 2] = np.arange(32) * 4, np.arange(32)[:, None] * 6
    Image.fromarray(smooth).save(tmp_path / 'x.tif', compression=compression)
    found, _ = read(tmp_path / 'x.tif')
    np.testing.assert_allclose(found.astype(int), smooth, atol=8)


@pytest.mark.parametrize(
    ('mode', 'message'),
    [
        ('P', 'expected RGB or MINISBLACK, got PALETTE'),
        ('CMYK', 'expected RGB or MINISBLACK, got SEPARATED'),
        ('LAB', 'expected RGB or MINISBLACK, got CIELAB'),
        ('I;16', 'expected uint8 with 1, 3 or 4 channels, got uint16'),
    ],
)
def test_colours_that_would_be_wrong_are_refused(tmp_path, tifffile, mode, message):
    image = Image.fromarray(PIXELS).convert('L' if mode == 'I;16' else mode)
    image.convert(mode).save(tmp_path / 'x.tif')
    assert message in error_of(tmp_path / 'x.tif')


def test_a_turned_tiff_is_refused(tmp_path, tifffile):
    tag = (274, 'H', 1, 6, True)
    tifffile.imwrite(tmp_path / 'x.tif', PIXELS, photometric='rgb', extratags=[tag])
    assert 'expected orientation 1, got 6' in error_of(tmp_path / 'x.tif')


def test_a_stack_of_pages_is_refused(tmp_path, tifffile):
    tifffile.imwrite(tmp_path / 'x.tif', np.stack([PIXELS] * 3), photometric='rgb')
    assert 'expected one image, got 3 pages' in error_of(tmp_path / 'x.tif')


@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_a_tiff_whose_tiles_are_damaged_is_named(tmp_path, tifffile, compression):
    path = tmp_path / 'x.tif'
    tifffile.imwrite(path, PIXELS, rowsperstrip=8, photometric='rgb', compression=compression)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    assert f'{path}: a tile cannot be decoded: ' in error_of(path)


@pytest.mark.parametrize(
    ('mode', 'suffix'),
    [('RGB', 'png'), ('L', 'png'), ('LA', 'png'), ('P', 'png'), ('RGBA', 'png'), ('RGB', 'bmp')],
)
def test_other_formats_are_read_whole(tmp_path, mode, suffix):
    image = Image.fromarray(PIXELS).convert(mode)
    image.save(tmp_path / f'x.{suffix}')
    found, heights = read(tmp_path / f'x.{suffix}')
    assert heights == [20, 20, 20, 15]
    np.testing.assert_array_equal(found, np.asarray(image.convert('RGB')))


def test_exif_turns_a_jpeg(tmp_path):
    smooth = np.zeros((32, 48, 3), np.uint8)
    smooth[:, :24] = 255
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees, clockwise
    Image.fromarray(smooth).save(tmp_path / 'x.jpg', exif=exif, quality=95)
    found, _ = read(tmp_path / 'x.jpg')
    assert found.shape == (48, 32, 3)
    assert found[:20].min() > 200 and found[28:].max() < 50


def test_sixteen_bits_are_not_clipped_to_eight(tmp_path):
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / 'x.png')
    assert 'expected 8 bits a channel, got mode I;16' in error_of(tmp_path / 'x.png')


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_a_file_that_ends_early_is_named(tmp_path, suffix):
    path = tmp_path / f'x.{suffix}'
    Image.fromarray(PIXELS).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    assert f'{path}: no whole image: ' in error_of(path)


@pytest.mark.parametrize('name', ['x.png', 'x.tif'])
def test_what_is_no_image_is_named(tmp_path, tifffile, name):
    assert f'{name}: no regular file' in error_of(tmp_path / name)
    (tmp_path / name).write_text('no image')
    assert error_of(tmp_path / name).startswith(str(tmp_path / name))


def test_only_a_tiff_has_levels(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / 'x.png')
    assert error_of(tmp_path / 'x.png', level=1).startswith('--level: ')


@pytest.mark.parametrize(('rows', 'heights'), [(75, [75]), (100, [75]), (25, [25, 25, 25])])
def test_strips_have_the_rows_that_are_asked_for(tmp_path, rows, heights):
    Image.fromarray(PIXELS).save(tmp_path / 'x.png')
    assert read(tmp_path / 'x.png', rows)[1] == heights
