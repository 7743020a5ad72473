"""Every configuration builds, optimizes what it should and trains for a step."""

import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, TRANSFORMS, DefaultScope
from torch import Tensor, nn

CONFIGS = Path(__file__).parents[2] / 'configs'
ALL = sorted(p.relative_to(CONFIGS) for p in CONFIGS.glob('[!_]*/*.py'))
OF_THE_PAPER = [path for path in ALL if path.parts[0] in ('imagenet', 'coco')]
IMAGENET = [path for path in ALL if path.parts[0] == 'imagenet']
COCO = [path for path in ALL if path.parts[0] == 'coco']
NO_DECAY = ('cls_token', 'A_log')


def load(path: Path) -> Config:
    return Config.fromfile(CONFIGS / path)


def build_model(cfg: Config) -> nn.Module:
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model_cfg = ConfigDict(cfg.model)
        if 'data_preprocessor' in cfg:  # as the runner does it
            model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
        return MODELS.build(model_cfg)


def build_on_meta(cfg: Config) -> nn.Module:
    """Builds the model in full size without memory for it."""
    with torch.device('meta'):
        return build_model(cfg)


def build_optimizer(cfg: Config, model: nn.Module):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_optim_wrapper(model, ConfigDict(cfg.optim_wrapper))


def shrink(cfg: Config) -> Config:
    """Same classes and recipe, two narrow layers, without pre-trained weights."""
    backbone = cfg.model.backbone
    backbone.pop('init_cfg', None)
    backbone.arch = dict(embed_dims=64, depth=2, intermediate_size=128, time_step_rank=4)
    if 'neck' not in cfg.model:
        cfg.model.head.in_channels = 64
        return cfg
    cfg.model.neck.in_channels = 64
    cfg.model.num_queries = 20
    cfg.model.dn_cfg.group_cfg.num_dn_queries = 10
    cfg.model.encoder.num_layers = cfg.model.decoder.num_layers = 1
    return cfg


def fake_batch(cfg: Config) -> dict[str, list]:
    if cfg.default_scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        num_classes = cfg.model.bbox_head.num_classes
        return demo_mm_inputs(2, [[3, 96, 128], [3, 128, 64]], num_classes=num_classes)
    from mmpretrain.structures import DataSample

    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    return {
        'inputs': list(images),
        'data_samples': [DataSample().set_gt_label(label) for label in range(4)],
    }


def groups_by_name(model: nn.Module, optim_wrapper) -> dict[str, tuple[Tensor, dict]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (parameter, group)
        for group in optim_wrapper.optimizer.param_groups
        for parameter in group['params']
    }


def test_model_index_names_every_config_of_the_paper():
    index = yaml.safe_load((CONFIGS.parent / 'model-index.yml').read_text())
    metafiles = [yaml.safe_load((CONFIGS.parent / f).read_text()) for f in index['Import']]
    models = [model for metafile in metafiles for model in metafile['Models']]
    assert {model['Config'] for model in models} == {f'configs/{path}' for path in OF_THE_PAPER}
    assert all(Path(model['Config']).stem == model['Name'] for model in models)


@pytest.mark.parametrize('path', ALL, ids=str)
def test_config_says_how_to_get_its_data(path):
    assert isinstance(load(path).data_preparation, str)


@pytest.mark.parametrize('path', OF_THE_PAPER, ids=str)
def test_batch_size_is_that_of_the_name(path):
    devices, images = map(int, re.search(r'_(\d+)xb(\d+)', path.stem).groups())
    cfg = load(path)
    assert cfg.train_dataloader.batch_size == images
    assert cfg.auto_scale_lr.base_batch_size == devices * images


@pytest.mark.parametrize(
    ('path', 'millions'),
    [
        ('imagenet/defocus-mamba-small_8xb128_in1k.py', '25.1'),
        ('imagenet/defocus-mamba-base_8xb128_in1k.py', '92.7'),
        ('coco/dino-4scale_defocus-mamba-base_8xb2-12e_coco.py', '115'),
        ('coco/dino-4scale_defocus-mamba-base_8xb2-36e_coco.py', '115'),
    ],
)
def test_number_of_parameters_is_that_of_the_paper(path, millions):
    model = build_on_meta(load(path))
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    decimals = len(millions.partition('.')[2])
    assert f'{count:.{decimals}f}' == millions


@pytest.mark.parametrize('path', ALL, ids=str)
def test_hooks_build(path):
    cfg = load(path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        hooks = map(HOOKS.build, [*cfg.custom_hooks, cfg.default_hooks.checkpoint])
        names = {type(hook).__name__ for hook in hooks}
    assert {'NonFiniteLossHook', 'EpochSeedHook', 'CheckpointHook'} <= names


@pytest.mark.parametrize('path', IMAGENET, ids=str)
def test_weights_are_averaged_with_the_decay_of_the_paper(path):
    cfg = load(path)
    (hook_cfg,) = (hook for hook in cfg.custom_hooks if hook.type == 'EMAHook')
    hook_cfg.pop('priority')  # for the runner
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        hook = HOOKS.build(hook_cfg)
        hook.before_run(SimpleNamespace(model=model))
    hook.ema_model.update_parameters(model)  # the first update copies
    nn.init.ones_(model.weight)
    hook.ema_model.update_parameters(model)
    assert hook.ema_model.module.weight.item() == pytest.approx(1 - 0.9999, rel=1e-3)


@pytest.mark.parametrize('path', ALL, ids=str)
def test_no_weight_decay_where_the_paper_has_none(path):
    cfg = load(path)
    model = build_on_meta(cfg)
    groups = groups_by_name(model, build_optimizer(cfg, model))
    assert groups.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    decay = cfg.optim_wrapper.optimizer.weight_decay
    for name, (parameter, group) in groups.items():
        is_free = parameter.ndim <= 1 or name.rpartition('.')[2] in NO_DECAY
        assert group['weight_decay'] == (0.0 if is_free else decay), name


@pytest.mark.parametrize('path', COCO, ids=str)
def test_backbone_of_a_detector_learns_ten_times_slower(path):
    cfg = load(path)
    model = build_on_meta(cfg)
    groups = groups_by_name(model, build_optimizer(cfg, model))
    for name in ('backbone.norm.weight', 'backbone.blocks.0.mixer.in_proj.weight'):
        assert groups[name][1]['lr'] == pytest.approx(2e-5)
    assert groups['neck.fpn_convs.0.conv.weight'][1]['lr'] == pytest.approx(2e-4)


@pytest.mark.parametrize('path', OF_THE_PAPER, ids=str)
@pytest.mark.parametrize('loader', ['train_dataloader', 'val_dataloader', 'test_dataloader'])
def test_pipeline_makes_a_sample_of_an_image(path, loader, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    cv2.imwrite(f'{tmp_path}/image.jpg', image)
    sample = {
        'img_path': f'{tmp_path}/image.jpg',
        'img_id': 1,
        'gt_label': 3,
        'instances': [{'bbox': [10.0, 20.0, 200.0, 250.0], 'bbox_label': 2, 'ignore_flag': 0}],
    }
    cfg = load(path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for transform in cfg[loader].dataset.pipeline:
            sample = TRANSFORMS.build(transform)(sample)
    assert sample['inputs'].shape[0] == 3
    if cfg.default_scope == 'mmpretrain':
        assert sample['inputs'].shape[1:] == (224, 224)
        assert sample['data_samples'].gt_label.item() == 3
    else:
        assert len(sample['data_samples'].gt_instances) == 1


@pytest.mark.parametrize('path', ALL, ids=str)
def test_a_training_step_runs(path):
    torch.manual_seed(0)
    np.random.seed(0)
    cfg = shrink(load(path))
    model = build_model(cfg)
    model.init_weights()
    model.train()
    optim_wrapper = build_optimizer(cfg, model)
    before = {name: parameter.clone() for name, parameter in model.backbone.named_parameters()}

    losses = model.train_step(fake_batch(cfg), optim_wrapper)

    assert losses['loss'].isfinite()
    after = dict(model.backbone.named_parameters())
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    assert not {n for n in unchanged if n.startswith(('patch_embed', 'blocks.0'))}
