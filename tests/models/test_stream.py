"""An image read strip by strip gives what it gives at once."""

import pytest
import torch

from mmdefocus.models import ImageStream
from mmdefocus.models.stream import StreamStep
from mmdefocus.ops import exportable

from .conftest import build_tiny

FAMILIES = ('DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT')
CONSTANT = FAMILIES[:3]
SECTIONS = {'token_order': 'sections', 'pretrain_img_size': 16}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make(family='DefocusMamba', dtype=torch.float64, **settings):
    model = build_tiny(family, out_type='featmap', **settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.to(dtype)


def whole(model, images):
    """Returns the CLS token and the feature map of `forward`."""
    with torch.no_grad():
        model.out_type = 'cls_token'
        (cls_token,) = model(images)
        model.out_type = 'featmap'
        return cls_token, model(images)[0]


def stream_of(model, images, **settings):
    settings.setdefault('height', images.shape[2])
    return ImageStream(model, images.shape[3], len(images), **settings)


def read(stream, images, *heights):
    """Returns the CLS token and the feature map, read in strips of the given heights."""
    featmap = torch.cat([stream.push(strip) for strip in images.split(heights, 2)], 2)
    return stream.cls_token(), featmap


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize(
    ('settings', 'size', 'heights'),
    [
        ({}, (32, 32), (8, 8, 16)),
        ({}, (40, 24), (8, 24, 8)),
        ({}, (27, 45), (16, 11)),
        ({}, (13, 21), (13,)),
        (SECTIONS, (48, 32), (16, 32)),
        (SECTIONS, (39, 41), (16, 16, 7)),
    ],
    ids=str,
)
def test_strips_give_what_the_whole_image_gives(family, dtype, tolerance, settings, size, heights):
    model = make(family, dtype, **settings)
    images = torch.randn(2, 3, *size, dtype=dtype)
    found = read(stream_of(model, images), images, *heights)
    for actual, expected in zip(found, whole(model, images), strict=True):
        assert actual.shape == expected.shape
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('family', FAMILIES)
def test_bfloat16_stays_within_its_rounding(family):
    model = make(family, torch.bfloat16)
    images = torch.randn(1, 3, 32, 32, dtype=torch.bfloat16)
    found = read(stream_of(model, images), images, 8, 16, 8)
    exact = whole(model.double(), images.double())
    at_once = whole(model.bfloat16(), images)
    for actual, once, expected in zip(found, at_once, exact, strict=True):
        error = (actual.double() - expected).norm()
        assert error < 2 * (once.double() - expected).norm()


@pytest.mark.parametrize('family', CONSTANT)
def test_a_strip_that_fills_no_patch_completes_images_of_unknown_height(family):
    model = make(family)
    images = torch.randn(1, 3, 30, 24, dtype=torch.float64)
    stream = stream_of(model, images, height=None)
    found = read(stream, images, 16, 14)
    assert stream.complete and stream.rows == 30
    torch.testing.assert_close(found, whole(model, images), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('family', CONSTANT)
def test_every_answer_is_that_of_the_rows_so_far(family):
    model = make(family)
    images = torch.randn(2, 3, 32, 24, dtype=torch.float64)
    stream = stream_of(model, images, height=None)
    for stop in (8, 16, 24, 32):
        stream.push(images[:, :, stop - 8 : stop])
        expected, _ = whole(model, images[:, :, :stop])
        for _ in range(2):  # reading out changes nothing
            torch.testing.assert_close(stream.cls_token(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('family', CONSTANT)
def test_the_state_does_not_grow(family):
    stream = ImageStream(make(family), 24)
    sizes = []
    for _ in range(3):
        stream.push(torch.randn(1, 3, 16, 24, dtype=torch.float64))
        sizes.append(sum(x.numel() for x in stream.state_dict().values()))
    assert len(set(sizes)) == 1


@pytest.mark.parametrize('family', FAMILIES)
def test_a_state_goes_on_in_another_stream_through_safetensors(family, tmp_path):
    files = pytest.importorskip('safetensors.torch')
    model, images = make(family), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    first, second = stream_of(model, images), stream_of(model, images)
    upper = first.push(images[:, :, :16])
    files.save_file(first.state_dict(), tmp_path / 'state.safetensors')
    second.load_state_dict(files.load_file(tmp_path / 'state.safetensors'))
    assert second.rows == 16
    lower = second.push(images[:, :, 16:])
    found = second.cls_token(), torch.cat((upper, lower), 2)
    torch.testing.assert_close(found, whole(model, images), rtol=1e-12, atol=1e-12)


@pytest.mark.compiler
@pytest.mark.parametrize('family', FAMILIES)
def test_a_compiled_model_streams(family):
    model, images = make(family), torch.randn(1, 3, 32, 32, dtype=torch.float64)
    torch.compiler.reset()
    stream = stream_of(model, images)
    stream.compile(backend='aot_eager')
    found = read(stream, images, 16, 16)
    torch.testing.assert_close(found, whole(model, images), rtol=1e-12, atol=1e-12)


@pytest.mark.compiler
@pytest.mark.parametrize(
    ('family', 'settings'), zip(CONSTANT, ({}, {}, SECTIONS), strict=True), ids=CONSTANT
)
def test_an_exported_step_runs_in_onnxruntime_to_the_same_result(family, settings, tmp_path):
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    model, images = make(family, torch.float32, **settings), torch.randn(1, 3, 64, 32)
    step = StreamStep(model).eval()
    state = step.initial_state()
    with exportable(), torch.inference_mode():
        program = torch.onnx.export(
            step, (images[:, :, :16],), kwargs={'state': state}, dynamo=True, verbose=False
        )
    program.save(str(tmp_path / 'step.onnx'))
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'step.onnx'), providers=['CPUExecutionProvider']
    )
    names = [entry.name for entry in session.get_inputs()]
    tensors, rows = [x.numpy() for x in state.values()], []
    for strip in images.split(16, 2):
        inputs = dict(zip(names, (strip.numpy(), *tensors), strict=True))
        row, cls_token, *tensors = session.run(None, inputs)
        rows.append(torch.from_numpy(row))
    found = torch.from_numpy(cls_token), torch.cat(rows, 2)
    torch.testing.assert_close(found, whole(model, images), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'family': 'BidirectionalMamba'}, 'reads the image from both ends'),
        ({'family': 'DefocusViT', 'causal': False}, 'causal=False'),
    ],
)
def test_models_that_look_ahead_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ImageStream(make(**settings), 32)


def test_what_is_no_backbone_is_refused():
    with pytest.raises(ValueError, match=r'model: expected a backbone .*, got Linear'):
        ImageStream(torch.nn.Linear(2, 2), 32)


def test_attention_needs_the_height_where_its_positions_are_interpolated():
    with pytest.raises(ValueError, match=r'height: DefocusViT .* got None'):
        ImageStream(make('DefocusViT'), 24)


@pytest.mark.parametrize(
    ('strip', 'message'),
    [
        (torch.randn(1, 3, 8, 24), r'expected \(1, 3, h, 32\) with h >= 1, got \(1, 3, 8, 24\)'),
        (torch.randn(2, 3, 8, 32), r'got \(2, 3, 8, 32\)'),
        (torch.randn(1, 3, 0, 32), 'h >= 1'),
        (torch.randn(3, 8, 32), r'got \(3, 8, 32\)'),
        (torch.zeros(1, 3, 8, 32).numpy(), 'expected a tensor, got ndarray'),
        (torch.randn(1, 3, 8, 32).double(), 'expected torch.float32 on cpu .*got torch.float64'),
        (torch.randn(1, 3, 8, 32, device='meta'), 'got torch.float32 on meta'),
    ],
)
def test_a_strip_that_does_not_fit_is_named(strip, message):
    stream = ImageStream(make(dtype=torch.float32), 32)
    with pytest.raises(ValueError, match=f'^strip: .*{message}'):
        stream.push(strip)
    assert stream.rows == 0


@pytest.mark.parametrize(('height', 'last'), [(None, 5), (16, 8)])
def test_nothing_comes_after_the_last_strip(height, last):
    stream = ImageStream(make(dtype=torch.float32), 32, height=height)
    stream.push(torch.randn(1, 3, 8, 32))
    stream.push(torch.randn(1, 3, last, 32))
    with pytest.raises(ValueError, match='strip: the images are complete after'):
        stream.push(torch.randn(1, 3, 8, 32))


def test_more_rows_than_the_image_has_are_refused():
    stream = ImageStream(make(dtype=torch.float32), 32, height=12)
    with pytest.raises(ValueError, match='up to the 12 that are left of 12, got 16'):
        stream.push(torch.randn(1, 3, 16, 32))


def test_a_model_that_drops_paths_is_refused():
    model = make(drop_path_rate=0.5)
    ImageStream(model, 32).push(torch.randn(1, 3, 8, 32, dtype=torch.float64))
    with pytest.raises(ValueError, match='model: expected evaluation mode, got training'):
        ImageStream(model.train(), 32).push(torch.randn(1, 3, 8, 32, dtype=torch.float64))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'width': 32.0}, 'width: expected a positive int, got 32.0'),
        ({'width': 0}, 'width: expected a positive int, got 0'),
        ({'batch_size': 1.5}, 'batch_size: expected a positive int, got 1.5'),
        ({'height': '8'}, "height: expected a positive int, got '8'"),
        ({'forget': 1.0}, r'forget: expected a number in \[0, 1\), got 1.0'),
    ],
)
def test_sizes_that_are_none_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ImageStream(make(), **{'width': 32, **settings})
