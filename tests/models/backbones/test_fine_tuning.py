"""Freezing and layer-wise rates, for the backbones of all families."""

import pytest
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor

from mmdefocus.registry import MODELS

STEM = {'cls_token', 'pos_embed', 'patch_embed'}


@pytest.mark.parametrize(
    ('frozen_stages', 'frozen'),
    [
        (-1, set()),
        (0, STEM),
        (2, {*STEM, 'blocks.0', 'blocks.1'}),
        (3, {*STEM, 'blocks.0', 'blocks.1', 'blocks.2', 'norm'}),
    ],
)
def test_frozen_stages_do_not_learn(build, frozen_stages, frozen):
    for name, parameter in build(frozen_stages=frozen_stages).named_parameters():
        part, index, *_ = (*name.split('.'), '')
        part = f'{part}.{index}' if part == 'blocks' else part
        assert parameter.requires_grad == (part not in frozen), name


def test_frozen_stages_stay_in_evaluation(build):
    model = build(frozen_stages=2, drop_path_rate=0.5)
    for _ in range(2):
        assert [block.training for block in model.blocks] == [False, False, True]
        assert not model.blocks[1].drop_path.training
        model.eval().train()


@pytest.mark.parametrize('frozen_stages', [-2, 4])
def test_a_number_of_stages_that_does_not_exist_is_an_error(build, frozen_stages):
    message = f'frozen_stages: expected a number from -1 to 3, got {frozen_stages}'
    with pytest.raises(ValueError, match=message):
        build(frozen_stages=frozen_stages)


@pytest.mark.parametrize('frozen_stages', [-1, 1])
def test_rates_decay_layer_by_layer_with_the_constructor_of_mmpretrain(build, frozen_stages):
    """Embeddings have depth 0 of 5, the three blocks 1 to 3, the final norm and the head 4."""
    classifier = MODELS.build(
        {'type': 'mmpretrain.ImageClassifier', 'backbone': build(frozen_stages=frozen_stages)}
        | {'head': {'type': 'DefocusClsHead', 'num_classes': 3, 'in_channels': 16}}
    )
    constructor = LearningRateDecayOptimWrapperConstructor(
        {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1.0, 'weight_decay': 0.1}},
        {'layer_decay_rate': 0.5},
    )
    groups = constructor(classifier).optimizer.param_groups
    rates = {group['param_name']: group['lr'] for group in groups}
    expected = {'blocks.0': 0.125, 'blocks.1': 0.25, 'blocks.2': 0.5, 'norm': 1.0}
    for name, parameter in classifier.named_parameters():
        assert (name in rates) == parameter.requires_grad
        part = name.removeprefix('backbone.')
        key = next((key for key in expected if part.startswith(f'{key}.')), None)
        rate = 1.0 if name.startswith('head.') else expected.get(key, 0.0625)
        assert rates.get(name, rate) == rate, name
