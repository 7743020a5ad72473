"""Conversion of released checkpoints, through the command line as a user does it."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdefocus.checkpoints.official import convert
from mmdefocus.models import DefocusMamba


@pytest.mark.parametrize('name', ['cls_rope', 'cls_norope', 'cls_change_res_mlp_head'])
def test_classifier_has_every_weight_under_our_names(main, tmp_path, name, classifier):
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


def test_released_names_map_to_ours(main, tmp_path, classifier):
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


@pytest.mark.parametrize('released', ['classifier', 'detector'])
def test_backbone_loads_as_pretrained_weights(main, tmp_path, released, request):
    released = request.getfixturevalue(released)
    torch.save({'model': released()}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'backbone'])

    converted = torch.load(tmp_path / 'dst.pth', weights_only=True)
    assert all(name.startswith('backbone.') for name in converted['state_dict'])
    pretrained = dict(type='Pretrained', checkpoint=f'{tmp_path}/dst.pth', prefix='backbone.')
    backbone = DefocusMamba(**converted['meta']['backbone'], init_cfg=pretrained)
    backbone.init_weights()
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, converted['state_dict'][f'backbone.{name}'])


def test_detector_keeps_class_names_and_translates_backbone_and_neck(
    main, tmp_path, capsys, detector
):
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


def test_missing_neck_weight_is_reported_and_the_rest_written(main, tmp_path, capsys, detector):
    released = detector()
    del released['neck.fpn1.3.weight']
    torch.save({'state_dict': released}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'detector'])

    assert 'missing     neck.fpn1.3.weight' in capsys.readouterr().out
    assert (tmp_path / 'dst.pth').exists()


def test_ema_takes_the_averaged_weights(main, tmp_path, classifier):
    averaged = {name: weight + 1 for name, weight in classifier().items()}
    torch.save({'model': classifier(), 'model_ema': averaged}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier', '--ema'])

    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    assert torch.equal(weights['backbone.cls_token'], averaged['cls_token'])


def test_ema_of_a_file_without_it_is_an_error(failure, tmp_path, classifier):
    torch.save({'model': classifier()}, tmp_path / 'src.pth')

    line = failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'classifier', '--ema')

    assert "expected them under 'model_ema'" in line


@pytest.mark.parametrize(
    'name', ['cls_token', 'patch_embed.proj.weight', 'blocks.1.mixer.freq', 'blocks.2.mixer.D']
)
def test_missing_backbone_weight_fails_and_writes_nothing(main, tmp_path, capsys, name, classifier):
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


def test_unexpected_weight_is_reported_and_left_out(main, tmp_path, capsys, classifier):
    released = {**classifier(), 'pos_embed': torch.zeros(1, 17, 64)}
    torch.save({'model': released}, tmp_path / 'src.pth')

    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--kind', 'classifier'])

    assert 'unexpected  pos_embed' in capsys.readouterr().out
    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    assert not any('pos_embed' in name for name in weights)


def test_contradicting_shapes_are_an_error(classifier):
    released = classifier()
    released['blocks.1.mixer.D'] = torch.ones(5)

    with pytest.raises(ValueError, match=r'blocks\.1\.mixer\.D: shape \(5,\)'):
        convert(released, 'classifier')


@pytest.mark.parametrize(
    ('released', 'kind', 'found'),
    [('classifier', 'detector', 'classifier or backbone'), ('detector', 'classifier', 'detector')],
)
def test_another_kind_is_an_error(released, kind, found, request):
    released = request.getfixturevalue(released)
    with pytest.raises(ValueError, match=f'--kind {kind}: these are the weights of a {found}'):
        convert(released(), kind)


def test_weights_of_another_model_are_an_error(failure, tmp_path):
    torch.save({'conv1.weight': torch.zeros(3, 3)}, tmp_path / 'src.pth')

    line = failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'backbone')

    assert f'{tmp_path}/src.pth: these are not the weights of a De-focus Mamba' in line


def test_safetensors_in_and_out(main, tmp_path, classifier):
    from safetensors.torch import load_file, save_file

    save_file(classifier(), tmp_path / 'src.safetensors')

    main([f'{tmp_path}/src.safetensors', f'{tmp_path}/dst.safetensors', '--kind', 'classifier'])

    weights = load_file(tmp_path / 'dst.safetensors')
    assert torch.equal(weights['head.aux_fc.weight'], classifier()['head2.weight'])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_truncated_file_is_one_clear_line(failure, tmp_path, suffix, classifier):
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


def test_code_in_a_checkpoint_is_refused(failure, tmp_path, classifier):
    checkpoint = {'model': classifier(), 'config': Malicious(tmp_path / 'proof')}
    torch.save(checkpoint, tmp_path / 'src.pth')

    line = failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', '--kind', 'classifier')

    assert 'refused, because it holds posix.mkdir' in line
    assert os.listdir(tmp_path) == ['src.pth']


def test_configuration_object_of_the_released_trainer_is_read_as_data(
    main, tmp_path, monkeypatch, classifier
):
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


def test_logs_of_a_detector_checkpoint_are_read_as_data(main, tmp_path, detector):
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
