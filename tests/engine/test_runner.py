import pytest
import torch

from mmdefocus.utils.errors import InputError


def checkpoint(path, **weights):
    torch.save(dict(state_dict=weights), path)
    return str(path)


def dumped(tmp_path):
    """Returns the configs in the work directory."""
    return list(tmp_path.glob('*.py'))


def test_writes_the_config_when_training_starts(make_runner, tmp_path):
    runner = make_runner()
    assert not dumped(tmp_path)
    runner.train()
    assert len(dumped(tmp_path)) == 1


def test_load_from_accepts_weights_that_fit_in_part(make_runner, tmp_path):
    weights = {'linear.weight': torch.full((1, 1), 7.0), 'head.weight': torch.ones(1)}
    runner = make_runner(
        load_from=checkpoint(tmp_path / 'part.pth', **weights),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
    )
    runner.train()
    assert runner.model.linear.weight.item() == 7


def test_load_from_refuses_foreign_weights_and_keeps_the_config(make_runner, tmp_path):
    runner = make_runner(load_from=checkpoint(tmp_path / 'foreign.pth', other=torch.ones(1)))
    with pytest.raises(InputError, match=r'foreign\.pth does not fit ToyModel: 1 missing'):
        runner.train()
    assert not dumped(tmp_path)


def test_resume_refuses_weights_that_fit_in_part(make_runner, tmp_path):
    make_runner().train()
    path = tmp_path / 'epoch_1.pth'
    changed = torch.load(path, weights_only=False)
    changed['state_dict']['head.weight'] = torch.ones(1)
    torch.save(changed, path)
    runner = make_runner(load_from=str(path), resume=True)
    with pytest.raises(InputError, match=r'1 unexpected \(head\.weight\)'):
        runner.train()


def pretrained(path):
    return dict(
        type='ToyModel', init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    )


def test_pretrained_part_takes_all_its_weights(make_runner, tmp_path):
    weights = {'backbone.linear.weight': torch.full((1, 1), 7.0), 'head.weight': torch.ones(1)}
    runner = make_runner(
        model=pretrained(checkpoint(tmp_path / 'good.pth', **weights)),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
    )
    runner.train()
    assert runner.model.linear.weight.item() == 7


@pytest.mark.parametrize(
    ('name', 'shape', 'problem'),
    [
        ('other', (1, 1), r'1 missing \(linear\.weight\)'),
        ('linear.weight', (2, 1), 'of another shape'),
    ],
)
def test_pretrained_part_refuses_foreign_weights(make_runner, tmp_path, name, shape, problem):
    path = checkpoint(tmp_path / 'foreign.pth', **{f'backbone.{name}': torch.ones(shape)})
    with pytest.raises(InputError, match=problem):
        make_runner(model=pretrained(path)).train()
    assert not dumped(tmp_path)
