"""Conversion of released checkpoints, through the command line as a user does it."""

import importlib.util
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdefocus.models import DefocusMamba
from mmdefocus.models.utils import convert

ROOT = Path(__file__).parents[2]
DATA = ROOT / 'tests/data'


@pytest.fixture(scope='module')
def main():
    path = ROOT / 'tools/model_converters/from_official.py'
    spec = importlib.util.spec_from_file_location('from_official', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def failure(main, capsys):
    """Runs the tool, which must fail, and returns the one line that it says on stderr."""

    def run(*argv: object) -> str:
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in argv])
        assert exit_info.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def golden(name: str, *parts: str) -> dict[str, torch.Tensor]:
    """Weights under their released names, of the given parts of a golden file."""
    with np.load(DATA / f'{name}.npz') as arrays:
        return {
            key.removeprefix('state_dict/').replace('/', '.'): torch.from_numpy(arrays[key])
            for key in arrays.files
            if key.startswith(parts)
        }


def classifier(name: str = 'cls_rope') -> dict[str, torch.Tensor]:
    return golden(name, 'state_dict/')


def detector() -> dict[str, torch.Tensor]:
    return golden('det_zscan', 'backbone/', 'neck/')


@pytest.mark.parametrize('name', ['cls_rope', 'cls_norope', 'cls_change_res_mlp_head'])
def test_classifier_has_every_weight_under_our_names(main, tmp_path, name):
    released = classifier(name)
    torch.save({'model': released}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier'])

    converted = torch.load(tmp_path / 'dst.pth', weights_only=True)
    weights = converted['state_dict']
    assert len(weights) == len(released)
    layer = '.2' if 'mlp' in name else ''
    assert torch.equal(weights[f'head.fc{layer}.weight'], released[f'head{layer}.weight'])
    assert torch.equal(weights[f'head.aux_fc{layer}.bias'], released[f'head2{layer}.bias'])
    backbone = {k.removeprefix('backbone.'): v for k, v in weights.items() if 'head' not in k}
    DefocusMamba(**converted['meta']['backbone']).load_state_dict(backbone, strict=True)


def test_released_names_map_to_ours(main, tmp_path):
    released = classifier()
    torch.save({'model': released}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier'])

    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    for old, new in {
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'blocks.1.mixer.A_log': 'blocks.1.mixer.decay.A_log',
        'blocks.2.mixer.freq': 'blocks.2.mixer.rope.freq',
        'blocks.0.mixer.dt_proj.bias': 'blocks.0.mixer.dt_proj.bias',
        'norm.bias': 'norm.bias',
    }.items():
        assert torch.equal(weights[f'backbone.{new}'], released[old])


@pytest.mark.parametrize('released', [classifier, detector])
def test_backbone_loads_as_pretrained_weights(main, tmp_path, released):
    torch.save({'model': released()}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'backbone'])

    converted = torch.load(tmp_path / 'dst.pth', weights_only=True)
    assert all(name.startswith('backbone.') for name in converted['state_dict'])
    pretrained = dict(type='Pretrained', checkpoint=f'{tmp_path}/dst.pth', prefix='backbone.')
    backbone = DefocusMamba(**converted['meta']['backbone'], init_cfg=pretrained)
    backbone.init_weights()
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, converted['state_dict'][f'backbone.{name}'])


def test_detector_keeps_class_names_and_translates_backbone_and_neck(main, tmp_path, capsys):
    released = detector()
    released['bbox_head.cls_branches.0.bias'] = torch.zeros(80)
    checkpoint = {'meta': {'dataset_meta': {'classes': ('zero', 'one')}}, 'state_dict': released}
    torch.save(checkpoint, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'detector'])

    converted = torch.load(tmp_path / 'dst.pth', weights_only=True)
    weights = converted['state_dict']
    assert len(weights) == len(released)
    assert converted['meta']['dataset_meta'] == {'classes': ('zero', 'one')}
    assert torch.equal(
        weights['neck.fpn_convs.3.norm.weight'], released['neck.fpn_convs.3.norm_layer.weight']
    )
    assert 'bbox_head.cls_branches.0.bias' in weights
    said = capsys.readouterr().out
    assert 'missing     bbox_head.cls_branches.1.bias' in said
    assert 'missing     neck' not in said


def test_missing_neck_weight_is_reported_and_the_rest_written(main, tmp_path, capsys):
    released = detector()
    del released['neck.fpn1.3.weight']
    torch.save({'state_dict': released}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'detector'])

    assert 'missing     neck.fpn1.3.weight' in capsys.readouterr().out
    assert (tmp_path / 'dst.pth').exists()


def test_ema_takes_the_averaged_weights(main, tmp_path):
    averaged = {name: weight + 1 for name, weight in classifier().items()}
    torch.save({'model': classifier(), 'model_ema': averaged}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier', '--ema'])

    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    assert torch.equal(weights['backbone.cls_token'], averaged['cls_token'])


def test_ema_of_a_file_without_it_is_an_error(failure, tmp_path):
    torch.save({'model': classifier()}, tmp_path / 'src.pth')

    line = failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'classifier', '--ema')

    assert "expected them under 'model_ema'" in line


@pytest.mark.parametrize(
    'name', ['cls_token', 'patch_embed.proj.weight', 'blocks.1.mixer.freq', 'blocks.2.mixer.D']
)
def test_missing_backbone_weight_fails_and_writes_nothing(main, tmp_path, capsys, name):
    released = classifier()
    del released[name]
    torch.save({'model': released}, tmp_path / 'src.pth')

    with pytest.raises(SystemExit) as exit_info:
        main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'backbone'])

    said = capsys.readouterr()
    assert exit_info.value.code == 1
    assert said.out.startswith('missing     backbone.')
    assert 'the backbone lacks 1 weights' in said.err
    assert os.listdir(tmp_path) == ['src.pth']


def test_unexpected_weight_is_reported_and_left_out(main, tmp_path, capsys):
    released = {**classifier(), 'pos_embed': torch.zeros(1, 17, 64)}
    torch.save({'model': released}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier'])

    assert 'unexpected  pos_embed' in capsys.readouterr().out
    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    assert not any('pos_embed' in name for name in weights)


def test_contradicting_shapes_are_an_error():
    released = classifier()
    released['blocks.1.mixer.D'] = torch.ones(5)

    with pytest.raises(ValueError, match=r'blocks\.1\.mixer\.D: shape \(5,\)'):
        convert(released, 'classifier')


@pytest.mark.parametrize(
    ('released', 'kind', 'found'),
    [(classifier, 'detector', 'classifier or backbone'), (detector, 'classifier', 'detector')],
)
def test_another_kind_is_an_error(released, kind, found):
    with pytest.raises(ValueError, match=f'--kind {kind}: these are the weights of a {found}'):
        convert(released(), kind)


def test_weights_of_another_model_are_an_error(failure, tmp_path):
    torch.save({'conv1.weight': torch.zeros(3, 3)}, tmp_path / 'src.pth')

    line = failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'backbone')

    assert f'{tmp_path}/src.pth: these are not the weights of a De-focus Mamba' in line


def test_safetensors_in_and_out(main, tmp_path):
    from safetensors.torch import load_file, save_file

    save_file(classifier(), tmp_path / 'src.safetensors')

    main([f'{tmp_path}/src.safetensors', f'{tmp_path}/dst.safetensors', '--kind', 'classifier'])

    weights = load_file(tmp_path / 'dst.safetensors')
    assert torch.equal(weights['head.aux_fc.weight'], classifier()['head2.weight'])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_truncated_file_is_one_clear_line(failure, tmp_path, suffix):
    src = tmp_path / f'src{suffix}'
    torch.save({'model': classifier()}, src)
    src.write_bytes(src.read_bytes()[:5000])

    line = failure(src, tmp_path / 'dst.pth', '--kind', 'classifier')

    assert str(src) in line and 'cut short' in line
    assert os.listdir(tmp_path) == [src.name]


def test_missing_file_is_one_clear_line(failure, tmp_path):
    src = tmp_path / 'nowhere.pth'
    line = failure(src, tmp_path / 'dst.pth', '--kind', 'classifier')
    assert f'{src}: no such file' in line


class Malicious:
    """Pickles into a call that leaves a file behind when it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_refused(failure, tmp_path):
    checkpoint = {'model': classifier(), 'config': Malicious(tmp_path / 'proof')}
    torch.save(checkpoint, tmp_path / 'src.pth')

    line = failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'classifier')

    assert 'refused, because it holds posix.mkdir' in line
    assert os.listdir(tmp_path) == ['src.pth']


def test_configuration_object_of_the_released_trainer_is_read_as_data(main, tmp_path, monkeypatch):
    """Saved as yacs does: a dict subclass with state, in a module that is not there on loading."""
    import sys
    import types

    class CfgNode(dict):
        __module__ = 'yacs.config'
        __qualname__ = 'CfgNode'

    module = types.ModuleType('yacs.config')
    module.CfgNode = CfgNode
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
        patch.setitem(sys.modules, 'yacs.config', module)
        config = CfgNode(MODEL=CfgNode(depth=3), BASE=[''])
        config.__dict__['_immutable'] = True
        torch.save({'model': classifier(), 'config': config}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier'])

    assert (tmp_path / 'dst.pth').exists()


def test_logs_of_a_detector_checkpoint_are_read_as_data(main, tmp_path):
    from mmengine.logging import HistoryBuffer

    logs = OrderedDict(loss=HistoryBuffer([1.0, 2.0], [1, 1]))
    runtime = {'lr': np.float64(0.1), 'seen': np.int64(3), 'flags': np.zeros(2, dtype=bool)}
    checkpoint = {
        'meta': {},
        'state_dict': detector(),
        'message_hub': {'log_scalars': logs, 'runtime_info': runtime},
    }
    torch.save(checkpoint, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'backbone'])

    assert (tmp_path / 'dst.pth').exists()


@pytest.fixture(scope='module')
def whole_detector() -> dict[str, torch.Tensor]:
    """The released layout of a whole mmdet detector; a number for each weight of mmdet's parts."""
    from mmdet.registry import MODELS
    from mmengine.hub import get_config

    from mmdefocus.models.utils.official import DINO

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
def test_classifier_comes_back_byte_for_byte(round_trip, name):
    released, reverted = round_trip(classifier(name), 'classifier')
    assert released == reverted


@pytest.mark.parametrize(
    'wrap',
    [lambda w: {'model': w}, lambda w: {'state_dict': w}, OrderedDict],
    ids=['model', 'state_dict', 'OrderedDict'],
)
def test_file_comes_back_in_its_form(round_trip, wrap):
    released, reverted = round_trip(wrap(classifier()), 'classifier')
    assert released == reverted


def test_state_dict_of_a_module_comes_back_with_its_version_numbers(round_trip):
    weights = OrderedDict(classifier())
    weights._metadata = OrderedDict({'': {'version': 1}, 'norm': {'version': 1}})
    released, reverted = round_trip(weights, 'classifier')
    assert released == reverted


def test_backbone_of_a_classifier_comes_back_byte_for_byte(round_trip):
    weights = {name: w for name, w in classifier().items() if not name.startswith('head')}
    released, reverted = round_trip(weights, 'backbone')
    assert released == reverted


def test_backbone_of_a_detector_comes_back_byte_for_byte(round_trip):
    released, reverted = round_trip(golden('det_zscan', 'backbone/'), 'backbone')
    assert released == reverted


def test_detector_comes_back_byte_for_byte(round_trip, whole_detector):
    released, reverted = round_trip(whole_detector, 'detector')
    assert released == reverted


def test_own_training_is_given_the_released_form(main, tmp_path):
    torch.save({'model': classifier()}, tmp_path / 'src.pth')
    main([f'{tmp_path}/src.pth', f'{tmp_path}/ours.pth', '--kind', 'classifier'])
    weights = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    torch.save({'meta': {'epoch': 1}, 'state_dict': weights}, tmp_path / 'epoch_1.pth')

    main([f'{tmp_path}/epoch_1.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier', '--reverse'])

    reverted = torch.load(tmp_path / 'dst.pth', weights_only=True)
    assert list(reverted) == ['model']
    assert list(reverted['model']) == list(classifier())


def test_released_names_cannot_be_reverted(failure, tmp_path):
    torch.save(classifier(), tmp_path / 'src.pth')
    arguments = (tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'classifier', '--reverse')
    assert "do not have this project's names" in failure(*arguments)


@pytest.mark.parametrize('name', ['cls_rope', 'cls_change_res_mlp_head'])
def test_class_map_selects_the_rows_of_both_classifiers(main, tmp_path, name):
    released = classifier(name)
    torch.save({'model': released}, tmp_path / 'src.pth')
    (tmp_path / 'map.txt').write_text('4\n0\n4\n')

    arguments = ['--kind', 'classifier', '--class-map', f'{tmp_path}/map.txt']
    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', *arguments])

    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    layer = '.2' if 'mlp' in name else ''
    for old, new in (('head', 'head.fc'), ('head2', 'head.aux_fc')):
        for leaf in ('weight', 'bias'):
            rows = released[f'{old}{layer}.{leaf}'][[4, 0, 4]]
            assert torch.equal(weights[f'{new}{layer}.{leaf}'], rows)
    if layer:
        assert torch.equal(weights['head.fc.0.weight'], released['head.0.weight'])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'map.txt: no such file'),
        ('', 'map.txt: empty; expected the index of a row on each line'),
        ('1\ntwo\n', "map.txt: entry 2: expected the index of a row, found 'two'"),
        ('-1\n', "map.txt: entry 1: expected the index of a row, found '-1'"),
        ('0\n999\n', 'class map: row 999, but head.fc.weight has 7 rows from 0'),
        ('é', "map.txt: entry 1: expected the index of a row, found 'é'"),
    ],
)
def test_bad_class_map_is_one_clear_line(failure, tmp_path, text, message):
    torch.save({'model': classifier()}, tmp_path / 'src.pth')
    if text is not None:
        (tmp_path / 'map.txt').write_text(text)
    options = ('--kind', 'classifier', '--class-map', tmp_path / 'map.txt')
    assert message in failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', *options)
    assert not (tmp_path / 'dst.pth').exists()


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
