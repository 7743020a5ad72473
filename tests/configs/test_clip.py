"""Recipes of CLIP have the numbers of Table 9, and their models the parameters that are stated."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, METRICS, TRANSFORMS, DefaultScope

from mmdefocus.analysis.cost.summary import build_on_meta
from mmdefocus.datasets.captioned_emoji import load_emoji, split_concepts
from mmdefocus.datasets.pairs.writing import PAIRS_OF_A_SHARD
from mmdefocus.models.build import build_model

pytest.importorskip('open_clip')
CLIP = Path(__file__).parents[2] / 'configs' / 'clip'
ALL = sorted(path.stem for path in CLIP.glob('*.py'))
LAION = [name for name in ALL if name.endswith('laion400m')]
PARAMETERS = {
    'defocus-mamba-base-p32_64xb512_laion400m': 156_703_617,
    'vit-base-p32_64xb512_laion400m': 151_277_313,
}


def load(name: str) -> Config:
    return Config.fromfile(CLIP / f'{name}.py')


@pytest.mark.parametrize('name', PARAMETERS)
def test_parameters_are_those_of_the_design(name):
    model = build_on_meta(load(name))
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize('name', LAION)
def test_recipe_has_the_numbers_of_table_9(name):
    cfg = load(name)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 5e-4, 0.1)
    assert tuple(optimizer.betas) == (0.9, 0.98)
    assert cfg.train_cfg.max_epochs == 32
    assert cfg.auto_scale_lr.base_batch_size == 32768 == 64 * cfg.train_dataloader.batch_size
    warm, cosine = cfg.param_scheduler
    assert warm.end == cosine.begin == 20_000
    assert (cosine.type, cosine.eta_min) == ('CosineAnnealingLR', 0.0)
    assert cfg.train_dataloader.dataset.pipeline[1].scale == 224


@pytest.mark.parametrize('name', ALL)
def test_no_weight_decay_where_weights_must_not_shrink(name):
    cfg = load(name)
    model = build_on_meta(cfg)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    decay = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    kept = ('cls_token', 'pos_embed', 'A_log', 'freq', 'positional_embedding', 'class_embedding')
    for path, parameter in model.named_parameters():
        free = parameter.ndim <= 1 or path.endswith(kept)
        assert decay[id(parameter)] == (0.0 if free else 0.1), path


@pytest.mark.parametrize('name', ALL)
def test_transforms_metrics_and_hooks_build(name):
    cfg = load(name)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            for step in loader.dataset.pipeline:
                TRANSFORMS.build(step)
        for evaluator in cfg.val_evaluator:
            METRICS.build(evaluator)
        for hook in cfg.custom_hooks:
            HOOKS.build(hook)


def test_towers_of_the_miniatures_are_of_equal_size():
    mamba, vit = (build_on_meta(load(name)) for name in ('defocus-mamba-digits', 'vit-digits'))
    sizes = [sum(p.numel() for p in model.vision_backbone.parameters()) for model in (mamba, vit)]
    assert max(sizes) <= 1.02 * min(sizes)
    assert [p.shape for p in mamba.text_encoder.parameters()] == [
        p.shape for p in vit.text_encoder.parameters()
    ]


@pytest.mark.usefixtures('openmoji')
def test_miniatures_read_all_shards_that_the_converters_write():
    written = {'digits': 24_000, 'emoji': 8 * len(split_concepts(load_emoji(), 100)[0])}
    for subject, pictures in written.items():
        last = -(-pictures // PAIRS_OF_A_SHARD) - 1
        for model in ('defocus-mamba', 'vit'):
            shards = load(f'{model}-{subject}').train_dataloader.dataset.shards
            assert shards == f'train-{{0000..{last:04d}}}.tar'


def test_model_in_bfloat16_takes_a_step():
    cfg = load('defocus-mamba-digits')
    cfg.model.loss = dict(type='SigmoidContrastiveLoss')
    torch.manual_seed(0)
    model = build_model(cfg)
    tokens = torch.randint(1, 49408, (4, cfg.context_length))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model(torch.randn(4, 3, 48, 48), tokens=tokens, mode='loss')['loss']
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
