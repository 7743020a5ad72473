import pickle

import pytest
import torch
from mmengine.model import BaseModule, PretrainedInit
from mmengine.runner import load_checkpoint
from safetensors.torch import save_file
from torch import nn

from mmdefocus.checkpoints.checks import (
    check_file,
    checked_load,
    inference_checkpoint,
    pretrained_files,
    resolve_aliases,
)
from mmdefocus.utils.errors import InputError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'weights.pth')


def save(path, **weights):
    torch.save(dict(state_dict=weights), path)


def fitting():
    return dict(weight=torch.ones(2, 3), bias=torch.ones(2))


def test_accepts_weights(path):
    save(path, **fitting())
    check_file(path)


def test_accepts_bare_weights(path):
    torch.save(fitting(), path)
    check_file(path)


def test_accepts_the_old_format(path):
    torch.save(fitting(), path, _use_new_zipfile_serialization=False)
    check_file(path)


def test_names_a_file_that_does_not_exist(path):
    with pytest.raises(InputError, match=r'weights\.pth: no such file'):
        check_file(path)


@pytest.mark.parametrize('keep', [0.5, 0.999])
def test_names_a_file_that_is_cut_short_and_its_size(path, keep):
    save(path, weight=torch.ones(1000))
    with open(path, 'r+b') as file:
        size = int(keep * file.seek(0, 2))
        file.truncate(size)
    with pytest.raises(InputError, match=rf'weights\.pth \({size} bytes\): .* cut short'):
        check_file(path)


def test_refuses_a_file_of_another_kind(path):
    with open(path, 'w') as file:
        file.write('a text')
    with pytest.raises(InputError, match=r'\(6 bytes\): cannot be read; expected a PyTorch'):
        check_file(path)


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_does_not_execute_a_file(path):
    with open(path, 'wb') as file:
        pickle.dump(Code(), file, protocol=2)
    with pytest.raises(InputError, match='tensors and plain containers'):
        check_file(path)
    torch.save(dict(state_dict=fitting(), meta=Code()), path)
    with pytest.raises(InputError, match='tensors and plain containers'):
        check_file(path)


@pytest.mark.parametrize('content', [[1, 2], {}, dict(state_dict={}), dict(epoch=1)])
def test_refuses_a_file_without_weights(path, content):
    torch.save(content, path)
    with pytest.raises(InputError, match='holds no weights'):
        check_file(path)


def test_names_what_a_file_has_instead_of_the_prefix(path):
    torch.save({'head.weight': torch.ones(1), 'model.weight': torch.ones(1)}, path)
    message = r"under prefix 'backbone\.'; its names begin with head, model"
    with pytest.raises(InputError, match=message):
        check_file(path, prefix='backbone.')


def test_refuses_to_resume_from_weights_alone(path):
    save(path, **fitting())
    with pytest.raises(InputError, match='it lacks meta, optimizer, message_hub'):
        check_file(path, resume=True)


def load(path, tolerate, **weights):
    """Loads weights into a linear layer as MMEngine does."""
    save(path, **weights)
    model = nn.Sequential(nn.Linear(3, 2))[0]
    with checked_load(model, path, tolerate):
        load_checkpoint(model, path)
    return model


@pytest.mark.parametrize('tolerate', ['nothing', 'extra', 'partial'])
def test_lets_fitting_weights_pass(path, tolerate):
    assert torch.equal(load(path, tolerate, **fitting()).weight, torch.ones(2, 3))


@pytest.mark.parametrize('tolerate', ['nothing', 'extra'])
def test_names_missing_weights(path, tolerate):
    with pytest.raises(InputError, match=r'does not fit Linear: 1 missing \(bias\)'):
        load(path, tolerate, weight=torch.ones(2, 3))


@pytest.mark.parametrize('tolerate', ['nothing', 'extra'])
def test_names_weights_of_another_shape(path, tolerate):
    with pytest.raises(InputError, match=r'1 of another shape \(bias\)'):
        load(path, tolerate, weight=torch.ones(2, 3), bias=torch.ones(5))


def test_names_the_first_unexpected_weights_and_their_number(path):
    extra = {f'extra{i}': torch.ones(1) for i in range(5)}
    with pytest.raises(InputError, match=r'5 unexpected \(extra0, extra1, extra2, …\)'):
        load(path, 'nothing', **fitting(), **extra)
    load(path, 'extra', **fitting(), **extra)


def test_a_partial_load_needs_one_weight_that_fits(path):
    load(path, 'partial', weight=torch.ones(2, 3))
    with pytest.raises(InputError, match=r'1 missing .*, 1 of another shape'):
        load(path, 'partial', other=torch.ones(1), bias=torch.ones(5))


def load_classifier(path, weights):
    save(path, **weights)
    model = nn.ModuleDict(dict(backbone=nn.Linear(3, 2), head=nn.Linear(2, 5)))
    with checked_load(model, path, 'partial'):
        load_checkpoint(model, path)


def test_extra_weights_are_those_of_parts_that_the_module_lacks(path):
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2)))
    deeper = nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)))
    with checked_load(model, path, 'extra'):
        save(path, **model.state_dict(), **{'head.weight': torch.ones(1)})
        load_checkpoint(model, path)
        save(path, **deeper.state_dict())
        with pytest.raises(InputError, match=r'2 unexpected \(0\.1\.weight, 0\.1\.bias\)'):
            load_checkpoint(model, path)


def parts_of_a_classifier():
    backbone = {f'backbone.{name}': weight for name, weight in fitting().items()}
    head = {'head.weight': torch.ones(5, 2), 'head.bias': torch.ones(5)}
    return backbone, head


def test_a_partial_load_may_lack_the_head_or_the_backbone(path):
    backbone, head = parts_of_a_classifier()
    load_classifier(path, backbone)
    load_classifier(path, {**backbone, 'head.weight': torch.ones(9, 2)})
    load_classifier(path, head)


@pytest.mark.parametrize(
    ('bias', 'problem'),
    [
        ({}, r'1 missing \(backbone\.bias\)'),
        ({'backbone.bias': torch.ones(7)}, r'1 of another shape \(backbone\.bias\)'),
    ],
)
def test_a_partial_load_needs_the_whole_backbone(path, bias, problem):
    backbone, head = parts_of_a_classifier()
    with pytest.raises(InputError, match=problem):
        load_classifier(path, {'backbone.weight': backbone['backbone.weight'], **bias, **head})


def test_checks_nothing_after_its_context(path):
    model = load(path, 'nothing', **fitting())
    save(path, other=torch.ones(1))
    load_checkpoint(model, path)


def test_names_why_safetensors_cannot_be_resumed(tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_file(fitting(), path)
    check_file(str(path))
    with pytest.raises(InputError, match='cannot be resumed, it lacks meta, optimizer'):
        check_file(str(path), resume=True)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_names_the_first_weight_that_is_not_finite(path, value):
    save(path, good=torch.ones(2), bad=torch.tensor([1, value]), worse=torch.tensor(value))
    with pytest.raises(InputError, match='weight bad is NaN or infinite'):
        check_file(path)


def test_large_weights_are_finite_though_their_sum_is_not(path):
    save(path, a=torch.full((9,), 3e38), b=torch.full((9,), 6e4, dtype=torch.float16))
    check_file(path)


def test_refuses_integers_as_weights(path):
    save(path, **{'a.num_batches_tracked': torch.tensor(3), 'a.weight': torch.tensor([3])})
    with pytest.raises(InputError, match=r'a\.weight is of torch\.int64, expected floating'):
        check_file(path)


def test_names_integers_where_the_module_has_floats(path):
    module = nn.BatchNorm1d(2)
    weights = dict(module.state_dict(), running_mean=torch.tensor([1, 2]))
    save(path, **weights)
    with (
        pytest.raises(InputError, match=r'1 integers for floats or the reverse \(running_mean\)'),
        checked_load(module, path, 'nothing'),
    ):
        load_checkpoint(module, path)


@pytest.mark.parametrize('kind', ['Pretrained', 'mmengine.Pretrained', PretrainedInit])
def test_finds_pretrained_parts_under_every_name(kind):
    rule = dict(type=kind, checkpoint='a.pth')
    module = BaseModule(init_cfg=dict(rule, override=dict(rule, name='part', checkpoint='b.pth')))
    module.part = nn.Linear(1, 1)
    assert list(pretrained_files(module)) == [(module, 'a.pth'), (module.part, 'b.pth')]
    resolve_aliases(module)
    assert module.init_cfg['type'] == 'Pretrained'


def test_inference_needs_of_meta_only_the_classes_and_where_weights_come_from(path):
    dataset = dict(classes=('a',), palette=[(0, 0, 0)], ann_file='/home/me/a.json')
    kept = dict(epoch=3, iter=30, seed=1, time='20261128_120000', mmengine_version='0.10.7')
    meta = dict(kept, cfg="work_dir = '/home/me'", api_key='secret', dataset_meta=dataset)
    torch.save(dict(state_dict=fitting(), meta=meta), path)
    dataset.pop('ann_file')
    assert inference_checkpoint(path)['meta'] == dict(kept, dataset_meta=dataset)
