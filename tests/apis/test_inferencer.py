"""The inferencer on images from everywhere, by a tiny classifier with random weights."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdefocus.apis import Classifier, Inferencer, images
from mmdefocus.models import DefocusCLIP
from mmdefocus.utils.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture
def inferencer(tiny):
    return Inferencer(tiny.config, tiny.checkpoint, 'cpu')


@pytest.fixture
def folder(tmp_path):
    """A folder with images of two sizes."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, size in enumerate((16, 24, 16, 24)):
        image = np.roll(PIXELS, number, axis=0) if size == 16 else np.full((24, 24, 3), number)
        cv2.imwrite(str(folder / f'{number}.png'), image)
    return folder


def scores(result):
    return [entry['score'] for entry in result['classes']]


def test_every_kind_of_input_is_predicted_alike(inferencer, site):
    path = site.folder / 'a picture.png'
    cv2.imwrite(str(path), PIXELS)
    address = f'{site.address}/a%20picture.png'
    rgb = Image.fromarray(PIXELS[..., ::-1])
    found = inferencer([path, str(path), address, PIXELS, rgb, Image.open(path)])
    assert [result['image'] for result in found] == [
        *(str(path), str(path), address, 'array 4', 'image 5', str(path))
    ]
    assert all((result['width'], result['height']) == (16, 16) for result in found)
    assert all(scores(result) == scores(found[0]) for result in found)


def test_grey_arrays_and_images_of_more_bits_are_scaled(inferencer):
    grey = PIXELS[..., 0]
    deep = Image.fromarray((grey.astype(np.uint16) << 8) | 255)
    alike = [grey, np.dstack([grey] * 3), Image.fromarray(grey), deep, np.asarray(deep)]
    found = inferencer(alike)
    assert all(scores(result) == scores(found[0]) for result in found)


def test_predictions_do_not_depend_on_the_batch_size(inferencer, folder):
    one, three = inferencer(folder), inferencer(folder, batch_size=3)
    assert [result['image'] for result in three] == [str(folder / f'{i}.png') for i in range(4)]
    for single, batched in zip(one, three, strict=True):
        assert single['classes'][0]['label'] == batched['classes'][0]['label']
        assert scores(single) == pytest.approx(scores(batched), rel=1e-5)


def test_what_is_left_out_of_a_folder_is_counted_in_a_warning(inferencer, folder, caplog):
    (folder / 'photo.heic').touch()
    assert len(inferencer(folder)) == 4
    assert caplog.messages == [f'{folder}: left out 1 file (.heic)']


def test_pictures_of_equal_names_do_not_overwrite_each_other(inferencer, folder, tmp_path):
    inferencer([folder / '0.png', folder, PIXELS], out_dir=tmp_path / 'out')
    written = {path.name for path in (tmp_path / 'out').iterdir()}
    assert written == {'0.png', '0-2.png', '1.png', '2.png', '3.png', 'array 3.png'}


def test_pictures_of_other_calls_are_not_overwritten_either(inferencer, tmp_path):
    for shift in range(3):
        inferencer(np.roll(PIXELS, shift, axis=0), out_dir=tmp_path / 'out')
    written = {path.name for path in (tmp_path / 'out').iterdir()}
    assert written == {'array 1.png', 'array 1-2.png', 'array 1-3.png'}


def test_a_result_names_its_picture(inferencer, tmp_path):
    (found,) = inferencer(PIXELS, out_dir=tmp_path / 'out')
    assert found['picture'] == str(tmp_path / 'out' / 'array 1.png')
    assert 'picture' not in inferencer(PIXELS)[0]


@pytest.mark.parametrize('give', [lambda x: x, lambda x: [x / '1.png'], lambda x: str(x / '1.png')])
def test_a_picture_in_the_place_of_an_input_is_refused_before_anything_is_computed(
    inferencer, folder, give, monkeypatch
):
    monkeypatch.setattr(inferencer.predictor, 'predict', None)
    with pytest.raises(InputError, match=r'^out_dir: .*\.png is read, and would be replaced'):
        inferencer(give(folder), out_dir=folder)


def test_an_image_of_pillow_may_have_a_name_in_bytes(inferencer, tmp_path):
    image = Image.fromarray(PIXELS)
    image.filename = b'below/bytes.png'
    (found,) = inferencer(image, out_dir=tmp_path)
    assert (found['image'], found['picture']) == ('below/bytes.png', str(tmp_path / 'bytes.png'))


def test_an_out_dir_that_is_a_file_is_refused_before_anything_is_computed(
    inferencer, tmp_path, monkeypatch
):
    (tmp_path / 'file').touch()
    monkeypatch.setattr(inferencer.predictor, 'predict', None)
    with pytest.raises(InputError, match=r'^out_dir: expected a folder, got the file .*file$'):
        inferencer(PIXELS, out_dir=tmp_path / 'file')
    with pytest.raises(OSError, match='file'):
        inferencer(PIXELS, out_dir=tmp_path / 'file' / 'below')


@pytest.mark.parametrize('give', [Image.open, lambda path: iter([path])])
def test_a_picture_in_the_place_of_what_comes_late_is_refused(inferencer, folder, give):
    before = (folder / '0.png').read_bytes()
    with pytest.raises(InputError, match=r'^out_dir: .*0\.png is read'):
        inferencer(give(folder / '0.png'), out_dir=folder)
    assert (folder / '0.png').read_bytes() == before


def test_data_samples_of_the_model_are_returned_on_demand(inferencer):
    (sample,) = inferencer(PIXELS, return_datasamples=True)
    (result,) = inferencer(PIXELS)
    assert sample.pred_score.max().item() == scores(result)[0]


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('nowhere.png', 'nowhere.png: no such file or folder'),
        (np.zeros((4, 4, 4), np.uint8), r'array 1: expected pixels \(H, W, 3\)'),
        (np.zeros((0, 4, 3), np.uint8), r'array 1: expected pixels \(H, W, 3\)'),
        (np.full((4, 4), 'a'), 'array 1: expected numbers, got <U1'),
        (np.full((4, 4), None), 'array 1: expected numbers, got object'),
        (Image.new('RGB', (0, 5)), r'image 1: expected pixels \(H, W, 3\)'),
        ('x' * 5000, 'x{5000}: cannot be read: File name too long'),
        (np.full((4, 4), np.nan), r'array 1: expected uint8, uint16 or floats in \[0, 1\]'),
        ('', 'input 1: expected a path, .*, got an empty text'),
        (b'bytes', 'input 1: expected a path, an address, an array .*, got bytes'),
        ('http://127.0.0.1:1/a.png', 'http://127.0.0.1:1/a.png: cannot be fetched: '),
    ],
)
def test_an_input_that_cannot_be_used_is_named_in_one_line(inferencer, source, message):
    with pytest.raises(InputError, match=f'^{message}.*$'):
        inferencer([source])


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('broken.png', 'broke off after 5 of 1000 bytes'),
        ('absent.png', 'cannot be fetched: '),
        ('page.html', 'not a whole image'),
        ('large.png', 'larger than 0 MiB'),
    ],
)
def test_an_address_without_an_image_is_named_in_one_line(
    inferencer, site, monkeypatch, name, message
):
    (site.folder / 'page.html').write_text('no image')
    (site.folder / 'large.png').write_bytes(bytes(1000))
    monkeypatch.setattr(images, 'LARGEST_FILE', 999)
    address = f'{site.address}/{name}'
    with pytest.raises(InputError, match=f'{address}: {message}'):
        inferencer(address)


def test_a_config_may_be_a_file(tiny, tmp_path):
    tiny.config.dump(tmp_path / 'config.py')
    inferencer = Inferencer(tmp_path / 'config.py', tiny.checkpoint, 'cpu')
    assert isinstance(inferencer.predictor, Classifier)
    with pytest.raises(InputError, match=r'config nowhere\.py: no such file'):
        Inferencer('nowhere.py', tiny.checkpoint)
    (tmp_path / 'config.py').write_text('model = 1 +')
    with pytest.raises(InputError, match=r'config .*config\.py: '):
        Inferencer(tmp_path / 'config.py', tiny.checkpoint)


@pytest.mark.parametrize('key', ['model', 'test_dataloader'])
def test_a_config_without_what_it_needs_is_named(tiny, key):
    tiny.config.pop(key)
    with pytest.raises(InputError, match=f'the config has no {key!r}'):
        Inferencer(tiny.config, tiny.checkpoint)


@pytest.mark.parametrize('key', ['model', 'weights'])
def test_an_empty_path_is_not_the_current_folder(tiny, key):
    arguments = dict(model=tiny.config, weights=tiny.checkpoint)
    with pytest.raises(InputError, match=f"^{key}: expected a path, got ''"):
        Inferencer(**{**arguments, key: ''})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'model.type': 'ImageClasifier'}, "type 'ImageClasifier' is not registered .* nearest:"),
        ({'model.backbone.pach_size': 8}, "config: DefocusMamba has no argument 'pach_size'"),
        ({'model': 'x'}, "config: model: expected a dict, got 'x'"),
        ({'model': None}, "the config has no 'model'"),
        ({'test_dataloader': None}, "the config has no 'test_dataloader'"),
        ({'test_dataloader': {'_delete_': True}}, 'config: test_dataloader.dataset: expected a d'),
    ],
)
def test_a_config_that_cannot_be_built_is_named_in_one_line(tiny, change, message):
    tiny.config.merge_from_dict(change)
    with pytest.raises(InputError, match=f'^{message}.*$'):
        Inferencer(tiny.config, tiny.checkpoint)


def test_a_device_that_is_not_there_is_named(tiny):
    with pytest.raises(InputError, match=r"device: expected .* got 'quux'"):
        Inferencer(tiny.config, tiny.checkpoint, 'quux')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(batch_size=0), 'batch_size: expected a positive int, got 0'),
        (dict(batch_size=1.5), 'batch_size: expected a positive int, got 1.5'),
        (dict(out_dir=''), "out_dir: expected a path, got ''"),
        (dict(out_dir=3), 'out_dir: expected a path, got 3'),
        (dict(pred_score_thr=float('nan')), 'pred_score_thr: expected a number in .*, got nan'),
        (dict(pred_score_thr='high'), "pred_score_thr: expected a number in .*, got 'high'"),
    ],
)
def test_an_argument_out_of_its_range_is_named(inferencer, arguments, message):
    with pytest.raises(ValueError, match=message):
        inferencer(PIXELS, **arguments)


def test_inputs_that_are_none_are_named(inferencer):
    with pytest.raises(InputError, match=r'inputs: expected a path, .*, got NoneType'):
        inferencer(None)


@pytest.mark.parametrize('clip', ['DefocusCLIP', DefocusCLIP], ids=['name', 'class'])
def test_labels_belong_to_clip_alone(tiny, clip):
    with pytest.raises(InputError, match='expected a DefocusCLIP, got ImageClassifier'):
        Inferencer(tiny.config, tiny.checkpoint, labels=['a', 'b'])
    tiny.config.model.type = clip
    with pytest.raises(InputError, match='labels: expected at least two texts'):
        Inferencer(tiny.config, tiny.checkpoint)


@pytest.mark.parametrize('labels', ['cat', [1, 2], [None, 'a'], 3])
def test_labels_that_are_no_texts_are_named(tiny, labels):
    tiny.config.model.type = 'DefocusCLIP'
    with pytest.raises(InputError, match=r'^labels: expected'):
        Inferencer(tiny.config, tiny.checkpoint, labels=labels)
