import pytest
import torch
from mmengine.config import Config

from mmdefocus.engine.config import changes
from mmdefocus.utils.errors import InputError


def test_drawing_goes_to_the_folder_of_the_user_beside_other_hooks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config(dict(default_scope='mmdet', custom_hooks=[dict(type='EpochSeedHook')]))
    changes.draw_to(cfg, 'drawn')
    first, second = cfg.custom_hooks
    assert first.type == 'EpochSeedHook'
    assert second == dict(type='DrawHook', out_dir=str(tmp_path / 'drawn'))


def test_amp_refuses_an_optimizer_wrapper_of_another_kind():
    cfg = Config(dict(optim_wrapper=dict(type='DeepSpeedOptimWrapper')))
    with pytest.raises(InputError, match='got DeepSpeedOptimWrapper'):
        changes.enable_amp(cfg)


def test_amp_on_a_cpu_drops_what_bfloat16_does_not_need(monkeypatch):
    monkeypatch.setattr(changes, 'get_device', lambda: 'cpu')
    wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', clip_grad=dict(max_norm=1))
    cfg = Config(dict(optim_wrapper=wrapper))
    changes.enable_amp(cfg)
    assert cfg.optim_wrapper == dict(type='BFloat16OptimWrapper', clip_grad=dict(max_norm=1))


def test_amp_on_a_gpu_scales_the_loss(monkeypatch):
    monkeypatch.setattr(changes, 'get_device', lambda: 'cuda')
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    changes.enable_amp(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')


@pytest.mark.parametrize('part', [{}, dict(auto_scale_lr=dict(enable=False))])
def test_auto_scale_lr_needs_the_batch_size_of_the_learning_rate(part):
    with pytest.raises(InputError, match=r'no auto_scale_lr\.base_batch_size'):
        changes.enable_auto_scale_lr(Config(part))


def test_resume_auto_takes_the_newest_checkpoint(tmp_path):
    path = tmp_path / 'epoch_2.pth'
    state = dict(state_dict=dict(weight=torch.ones(1)), meta={}, optimizer={}, message_hub={})
    torch.save(state, path)
    cfg = Config(dict(work_dir=str(tmp_path)))
    changes.resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (True, str(path))


def test_resume_auto_without_a_checkpoint_starts_as_the_config_says(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    changes.resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (False, 'pretrained.pth')
