"""`from_official.py --reverse` gives back what was released."""

from collections import OrderedDict

import pytest
import torch


@pytest.fixture(scope='module')
def whole_detector(detector) -> dict[str, torch.Tensor]:
    """The released layout of a whole mmdet detector; a number for each weight of mmdet's parts."""
    from mmdet.registry import MODELS
    from mmengine.hub import get_config

    from mmdefocus.checkpoints.official import DINO

    with torch.device('meta'):
        parts = MODELS.build(dict(get_config(DINO).model, _scope_='mmdet')).state_dict()
    names = [name for name in parts if not name.startswith(('backbone.', 'neck.'))]
    return {**detector(), **{name: torch.full((1,), i) for i, name in enumerate(names)}}


@pytest.fixture
def round_trip(main, tmp_path):
    """Converts a file and reverts the result; returns the two files that must be equal."""

    def run(checkpoint: dict, kind: str) -> tuple[bytes, bytes]:
        src, back = tmp_path / 'src' / 'model.pth', tmp_path / 'back' / 'model.pth'
        src.parent.mkdir()
        torch.save(checkpoint, src)
        main([str(src), f'{tmp_path}/ours.pth', '--kind', kind])
        main([f'{tmp_path}/ours.pth', str(back), '--kind', kind, '--reverse'])
        return src.read_bytes(), back.read_bytes()

    return run


@pytest.mark.parametrize('name', ['cls_rope', 'cls_norope', 'cls_change_res_mlp_head'])
def test_classifier_comes_back_byte_for_byte(round_trip, name, classifier):
    released, reverted = round_trip(classifier(name), 'classifier')
    assert released == reverted


@pytest.mark.parametrize(
    'wrap',
    [lambda w: {'model': w}, lambda w: {'state_dict': w}, OrderedDict],
    ids=['model', 'state_dict', 'OrderedDict'],
)
def test_file_comes_back_in_its_form(round_trip, wrap, classifier):
    released, reverted = round_trip(wrap(classifier()), 'classifier')
    assert released == reverted


def test_state_dict_of_a_module_comes_back_with_its_version_numbers(round_trip, classifier):
    weights = OrderedDict(classifier())
    weights._metadata = OrderedDict({'': {'version': 1}, 'norm': {'version': 1}})
    released, reverted = round_trip(weights, 'classifier')
    assert released == reverted


def test_backbone_of_a_classifier_comes_back_byte_for_byte(round_trip, classifier):
    weights = {name: w for name, w in classifier().items() if not name.startswith('head')}
    released, reverted = round_trip(weights, 'backbone')
    assert released == reverted


def test_backbone_of_a_detector_comes_back_byte_for_byte(round_trip, detector):
    released, reverted = round_trip(detector('backbone/'), 'backbone')
    assert released == reverted


def test_detector_comes_back_byte_for_byte(round_trip, whole_detector):
    released, reverted = round_trip(whole_detector, 'detector')
    assert released == reverted


def test_own_training_is_given_the_released_form(main, tmp_path, classifier):
    torch.save({'model': classifier()}, tmp_path / 'src.pth')
    main([f'{tmp_path}/src.pth', f'{tmp_path}/ours.pth', '--kind', 'classifier'])
    weights = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    torch.save({'meta': {'epoch': 1}, 'state_dict': weights}, tmp_path / 'epoch_1.pth')

    main([f'{tmp_path}/epoch_1.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier', '--reverse'])

    reverted = torch.load(tmp_path / 'dst.pth', weights_only=True)
    assert list(reverted) == ['model']
    assert list(reverted['model']) == list(classifier())


def test_released_names_cannot_be_reverted(failure, tmp_path, classifier):
    torch.save(classifier(), tmp_path / 'src.pth')
    arguments = (tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'classifier', '--reverse')
    assert "do not have this project's names" in failure(*arguments)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--kind', 'backbone', '--class-map', 'a'), '--class-map: expected --kind classifier'),
        (('--kind', 'backbone', '--reverse', '--ema'), 'cannot be combined with --ema'),
        (
            ('--kind', 'classifier', '--reverse', '--class-map', 'a'),
            'cannot be combined with --class-map',
        ),
    ],
)
def test_options_that_exclude_each_other_are_one_clear_line(failure, options, message):
    assert message in failure('src.pth', 'dst.pth', *options)
