"""A saved state goes on where it fits, and is refused in one line where it does not."""

import pytest
import torch

from mmdefocus.models import ImageStream

from .conftest import build_tiny


def make(family='DefocusMamba', like=None, **settings):
    torch.manual_seed(0)
    model = build_tiny(family, **settings).eval()
    if like is not None:
        model.load_state_dict(like.state_dict())
    return model


def begun(model, **settings):
    """Returns a stream that has read a strip."""
    stream = ImageStream(model, 32, **settings)
    stream.push(torch.randn(stream.batch_size, 3, 8, 32))
    return stream


def error_of(stream, state):
    before = stream.cls_token()
    with pytest.raises(ValueError, match=r'^state: expected .*') as error:
        stream.load_state_dict(state)
    assert '\n' not in str(error.value)
    assert torch.equal(stream.cls_token(), before)  # nothing was taken over
    return str(error.value)


@pytest.fixture
def mamba():
    return make()


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('version', torch.tensor(0), 'expected version 1, got 0'),
        ('version', 1, 'expected version 1, got None'),
        ('width', torch.tensor(24), 'expected width 32, got 24'),
        ('blocks.0.conv', torch.zeros(1, 2), r'expected blocks.0.conv (1, 3, 32) torch.float32'),
        ('blocks.0.scan', torch.zeros(1, 32, 4).half(), 'got (1, 32, 4) torch.float16 on cpu'),
        ('blocks.0.scan', torch.full((1, 32, 4), torch.nan), 'got NaN or infinity'),
        ('blocks.0.scan', torch.zeros(1, 32, 4, device='meta'), 'on meta'),
        ('blocks.0.scan', [0.0], 'expected blocks.0.scan, got list'),
        ('rows', torch.tensor(-8), 'expected rows of 0 or more, got -8'),
        ('rows', torch.tensor(80), 'expected 40 tokens of 80 rows, got 4'),
        ('rows', torch.zeros(2), 'expected rows, got Tensor'),
        ('position', torch.tensor(7), 'expected 4 tokens of 8 rows, got 7'),
        ('more', torch.tensor(7), 'expected no more'),
    ],
)
def test_a_damaged_state_is_named(mamba, key, value, message):
    state = begun(mamba).state_dict()
    assert message in error_of(ImageStream(mamba, 32), state | {key: value})


def test_what_is_missing_is_named(mamba):
    state = begun(mamba).state_dict()
    del state['blocks.1.scan']
    assert 'expected blocks.1.scan, got none' in error_of(ImageStream(mamba, 32), state)
    assert 'expected tensors by name, got list' in error_of(ImageStream(mamba, 32), [])


@pytest.mark.parametrize(
    'settings',
    [
        {'token_order': 'sections', 'pretrain_img_size': 16, 'rope_scale': 1.0, 'delta_scale': 1.0},
        {'rope_scale': 4.0},
        {'delta_scale': 3.0},
    ],
    ids=str,
)
def test_a_model_with_other_settings_is_another_one(mamba, settings):
    other = make(like=mamba, **settings)
    state = begun(mamba).state_dict()
    assert 'got those of another' in error_of(ImageStream(other, 32), state)


def test_a_model_with_other_weights_is_another_one(mamba):
    other = make(like=mamba)
    other.blocks[0].mixer.D.data.add_(1)
    assert 'got those of another' in error_of(ImageStream(other, 32), begun(mamba).state_dict())


def test_what_does_not_matter_to_a_state_may_differ(mamba):
    other = make(like=mamba, out_type='featmap', with_cp=True, drop_path_rate=0.1)
    stream = ImageStream(other, 32)
    stream.load_state_dict(begun(mamba).state_dict())
    assert stream.rows == 8


@pytest.mark.parametrize(
    ('settings', 'message'),
    [({'batch_size': 2}, 'batch_size 2, got 1'), ({'height': 64}, 'height 64, got 0')],
)
def test_a_stream_of_other_sizes_is_named(mamba, settings, message):
    assert message in error_of(ImageStream(mamba, 32, **settings), begun(mamba).state_dict())


def test_what_attention_has_kept_must_be_whole():
    model = make('DefocusViT')
    state = begun(model).state_dict()
    short = {name: x[:, :2] if '.keys.1' in name else x for name, x in state.items()}
    assert 'expected 4 tokens in blocks.0.keys.1' in error_of(ImageStream(model, 32), short)
    other = ImageStream(model, 32, forget=1e-3)
    assert 'expected forget 0.001, got 0.0' in error_of(other, state)
