"""Every configuration builds, optimizes what it should and trains for a step."""

import copy
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, TRANSFORMS, DefaultScope
from torch import Tensor, nn

from mmdefocus.analysis.cost.summary import build_on_meta
from mmdefocus.models.build import build_model

CONFIGS = Path(__file__).parents[2] / 'configs'
ALL = sorted(p.relative_to(CONFIGS) for p in CONFIGS.glob('[!_]*/**/*.py'))
IMAGENET = [path for path in ALL if path.parts[0] == 'imagenet']
COCO = [path for path in ALL if path.parts[0] == 'coco']
BCCD = [path for path in ALL if path.parts[0] == 'bccd']
ABLATIONS = [path for path in ALL if path.parts[:2] == ('ablations', 'imagenet')]
CLIP = [path for path in ALL if path.parts[0] == 'clip' and 'laion400m' in path.stem]
OF_THE_PAPER = [*IMAGENET, *COCO, *ABLATIONS]
QUOTED = ('dino-4scale_r50', 'vit-large')  # models that the paper quotes and does not train
TABLE_6 = [path for path in COCO if not path.stem.startswith(QUOTED)]
LONGER = [path for path in COCO if '36e' in path.stem]
NO_DECAY = ('cls_token', 'pos_embed', 'A_log', 'freq')
TINY_MAMBA = dict(embed_dims=64, depth=2, intermediate_size=128, time_step_rank=4)
TINY_ARCHS = {
    'Adventurer': dict(
        embed_dims=64, depth=2, intermediate_size=128, state_size=16, feedforward_channels=128
    ),
    'BidirectionalMamba': TINY_MAMBA,
    'DefocusMamba': TINY_MAMBA,
    'DefocusMamba2': dict(embed_dims=64, depth=2, intermediate_size=128, state_size=16),
    'DefocusRetNet': dict(
        embed_dims=64, depth=2, num_heads=2, value_channels=128, feedforward_channels=128
    ),
    'DefocusViT': dict(embed_dims=64, depth=2, num_heads=2, feedforward_channels=128),
    'MambaND': TINY_MAMBA,
    'S4NDViT': dict(embed_dims=64, depth=2, feedforward_channels=128),
    'VisionRWKV': dict(embed_dims=64, depth=2, feedforward_channels=128),
    'VisionTransformer': dict(embed_dims=64, num_layers=2, num_heads=2, feedforward_channels=128),
}


@cache
def parse(path: Path) -> Config:
    return Config.fromfile(CONFIGS / path)


def load(path: Path | str) -> Config:
    return copy.deepcopy(parse(Path(path)))


def of_12_epochs(path: Path) -> Path:
    return path.with_name(path.name.replace('36e', '12e'))


@cache
def model_in_full_size(path: Path) -> nn.Module:
    """The model on the meta device."""
    return build_on_meta(load(path))


def number_of_parameters(path: Path) -> int:
    model = model_in_full_size(of_12_epochs(path))
    return sum(parameter.numel() for parameter in model.parameters())


def has(path: Path, constructor: str) -> bool:
    return parse(path).optim_wrapper.get('constructor') == constructor


def build_optimizer(cfg: Config, model: nn.Module):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_optim_wrapper(model, ConfigDict(cfg.optim_wrapper))


def shrink(cfg: Config) -> Config:
    """Same classes and recipe, two narrow layers, without pre-trained weights."""
    backbone = cfg.model.backbone
    backbone.pop('init_cfg', None)
    family = backbone.type.rpartition('.')[2]
    if family == 'ResNet':
        backbone.base_channels = 16
        cfg.model.neck.in_channels = [64, 128, 256, 512][-len(cfg.model.neck.in_channels) :]
    else:
        backbone.arch = TINY_ARCHS[family]
        (cfg.model.get('neck') or cfg.model.head).in_channels = 64
    if 'hidden_channels' in cfg.model.get('head', ()):
        cfg.model.head.hidden_channels = 64
    if 'bbox_head' in cfg.model:
        cfg.model.num_queries = 20
        cfg.model.dn_cfg.group_cfg.num_dn_queries = 10
        cfg.model.encoder.num_layers = cfg.model.decoder.num_layers = 1
    return cfg


def fake_batch(cfg: Config) -> dict[str, list]:
    if cfg.default_scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        head = cfg.model.get('bbox_head') or cfg.model.roi_head.bbox_head
        num_classes = head.num_classes
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


def metafiles() -> list[dict]:
    index = yaml.safe_load((CONFIGS.parent / 'model-index.yml').read_text())
    return [yaml.safe_load((CONFIGS.parent / file).read_text()) for file in index['Import']]


MODELS_OF_INDEX = [model for metafile in metafiles() for model in metafile['Models']]


def test_model_index_names_every_config_of_the_paper():
    configs = [model['Config'] for model in MODELS_OF_INDEX]
    assert sorted(configs) == sorted(f'configs/{path}' for path in (*OF_THE_PAPER, *CLIP))
    assert all(Path(model['Config']).stem == model['Name'] for model in MODELS_OF_INDEX)


def test_collections_of_the_model_index_exist():
    collections = {c['Name'] for metafile in metafiles() for c in metafile.get('Collections', ())}
    assert {model['In Collection'] for model in MODELS_OF_INDEX} <= collections


@pytest.mark.parametrize('entry', MODELS_OF_INDEX, ids=lambda entry: entry['Name'])
def test_metafile_agrees_with_the_model(entry):
    path = Path(entry['Config']).relative_to('configs')
    cfg, about = load(path), entry['Metadata']
    assert about['Parameters'] == number_of_parameters(path)
    assert about['Epochs'] == cfg.train_cfg.max_epochs
    assert about['Batch Size'] == cfg.auto_scale_lr.base_batch_size


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
    ('name', 'millions', 'tolerance'),
    [
        ('imagenet/defocus-mamba-small_8xb128_in1k', 25.1, 0.1),
        ('imagenet/defocus-mamba-base_8xb128_in1k', 92.7, 0.1),
        ('imagenet/defocus-mamba-large_in21k-pre_32xb32_in1k-384px', 330.1, 0.1),
        ('imagenet/defocus-vit-base_8xb128_in1k', 87.4, 0.1),
        ('imagenet/defocus-vit-base_noncausal_8xb128_in1k', 87.4, 0.1),
        ('imagenet/defocus-retnet-base_8xb128_in1k', 92.7, 0.927),
        ('imagenet/retnet-base_8xb128_in1k', 93.6, 0.936),
        ('imagenet/mamba-small_8xb128_in1k', 24.7, 0.1),
        ('imagenet/mamba-base_8xb128_in1k', 91.9, 0.1),
        ('imagenet/bidirectional-mamba-small_8xb128_in1k', 26, 0.5),
        ('imagenet/mamba-nd-small_8xb128_in1k', 24, 0.24),
        ('imagenet/mamba-nd-small_causal_8xb128_in1k', 24, 0.24),
        ('imagenet/s4nd-vit-base_8xb128_in1k', 88.8, 0.1),
        ('imagenet/vision-rwkv-small_8xb128_in1k', 23.8, 0.1),
        ('imagenet/vision-rwkv-base_8xb128_in1k', 93.7, 0.1),
        ('imagenet/vision-rwkv-large_in21k-pre_32xb32_in1k-384px', 334.9, 0.1),
        ('imagenet/adventurer-base_8xb128_in1k', 99, 0.5),
        ('imagenet/deit-small_causal_8xb128_in1k', 22.1, 0.1),
        ('imagenet/deit-base_causal_8xb128_in1k', 86.6, 0.1),
        ('imagenet/deit-small_8xb128_in1k', 22.1, 0.1),
        ('imagenet/deit-base_8xb128_in1k', 86.6, 0.1),
        ('coco/dino-4scale_defocus-mamba-base_8xb2-12e_coco', 115, 0.5),
        ('coco/dino-4scale_deit-base_8xb2-12e_coco', 110, 0.5),
        ('coco/dino-4scale_r50_8xb2-12e_coco', 47, 1),
    ],
)
def test_number_of_parameters_is_that_of_a_paper(name, millions, tolerance):
    assert number_of_parameters(Path(f'{name}.py')) / 1e6 == pytest.approx(millions, abs=tolerance)


@pytest.mark.parametrize('path', ALL, ids=str)
def test_hooks_build(path):
    cfg = load(path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        hooks = map(HOOKS.build, [*cfg.custom_hooks, cfg.default_hooks.checkpoint])
        names = {type(hook).__name__ for hook in hooks}
    assert {'NonFiniteLossHook', 'EpochSeedHook', 'CheckpointHook'} <= names


# The ablations on ImageNet have the parameters of those on digits, and the optimizer of a recipe.
OPTIMIZED_BY_US = [
    path
    for path in ALL
    if has(path, 'DefocusOptimWrapperConstructor')
    and path not in (*ABLATIONS, *LONGER)
    and path.parts[0] != 'clip'  # see test_clip.py
]


@pytest.mark.parametrize('path', OPTIMIZED_BY_US, ids=str)
def test_no_weight_decay_where_the_paper_has_none(path):
    cfg, model = load(path), model_in_full_size(path)
    groups = groups_by_name(model, build_optimizer(cfg, model))
    assert groups.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    decay = cfg.optim_wrapper.optimizer.weight_decay
    for name, (parameter, group) in groups.items():
        is_free = parameter.ndim <= 1 or name.rpartition('.')[2] in NO_DECAY
        assert group['weight_decay'] == (0.0 if is_free else decay), name


@pytest.mark.parametrize('path', [p for p in TABLE_6 if p not in LONGER], ids=str)
def test_backbone_of_a_detector_learns_ten_times_slower(path):
    cfg, model = load(path), model_in_full_size(path)
    groups = groups_by_name(model, build_optimizer(cfg, model))
    rates = {name: group['lr'] for name, (_, group) in groups.items()}
    of_backbone = [rate for name, rate in rates.items() if name.startswith('backbone.')]
    assert of_backbone == pytest.approx([2e-5] * len(of_backbone))
    assert rates['neck.fpn_convs.0.conv.weight'] == pytest.approx(2e-4)


@pytest.mark.parametrize('path', [*IMAGENET, *COCO, *BCCD], ids=str)
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
    if cfg[loader] is None:
        assert 'in21k-192px' in path.stem, 'ImageNet-21K alone has no validation set'
        return
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for transform in cfg[loader].dataset.pipeline:
            sample = TRANSFORMS.build(transform)(sample)
    assert sample['inputs'].shape[0] == 3
    if cfg.default_scope == 'mmpretrain':
        side = cfg.model.backbone.get('img_size', 224)
        assert sample['inputs'].shape[1:] == (side, side)
        assert sample['data_samples'].gt_label.item() == 3
    else:
        assert len(sample['data_samples'].gt_instances) == 1


# DeepSpeed's optimizer wrapper works with its engine alone.
# CLIP has no head, and is trained by tests/tools/test_infer_clip.py.
ON_ONE_PROCESS = [
    path
    for path in ALL
    if path not in LONGER and not path.stem.endswith('deepspeed') and path.parts[0] != 'clip'
]


@pytest.mark.parametrize('path', ON_ONE_PROCESS, ids=str)
def test_training_changes_the_first_layers(path):
    torch.manual_seed(0)
    np.random.seed(0)
    cfg = shrink(load(path))
    model = build_model(cfg)
    model.init_weights()
    model.train()
    optim_wrapper = build_optimizer(cfg, model)
    before = {n: p.clone() for n, p in model.backbone.named_parameters() if p.requires_grad}

    # The head of mmpretrain's ViT begins with zeros, through which no gradient passes.
    for _ in range(2):
        losses = model.train_step(fake_batch(cfg), optim_wrapper)

    assert losses['loss'].isfinite()
    after = dict(model.backbone.named_parameters())
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    first = ('patch_embed', 'blocks.0', 'layers.0', 'layer2.0.downsample')
    assert not {name for name in unchanged if name.startswith(first)}
