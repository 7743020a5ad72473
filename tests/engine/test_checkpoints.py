import pickle

import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import nn

from mmdefocus.engine.checkpoints import check_file, checked_load
from mmdefocus.errors import InputError


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


def test_checks_nothing_after_its_context(path):
    model = load(path, 'nothing', **fitting())
    save(path, other=torch.ones(1))
    load_checkpoint(model, path)
