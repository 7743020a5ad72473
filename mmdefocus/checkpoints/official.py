"""Names of the released implementation, translated to ours."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.backbones import DefocusMamba
from ..models.necks import SimpleFPN

KINDS = ('classifier', 'backbone', 'detector')
MIXER_NAMES = {'mixer.A_log': 'mixer.decay.A_log', 'mixer.freq': 'mixer.rope.freq'}
# the released detectors have our name for the patches
BACKBONE_NAMES = {'patch_embed.proj.': 'patch_embed.projection.', **MIXER_NAMES}
HEAD_NAMES = {'head': 'head.fc', 'head2': 'head.aux_fc'}
DINO = 'mmdet::dino/dino-4scale_r50_improved_8xb2-12e_coco.py'


@dataclass(frozen=True)
class Conversion:
    """Converted weights and what did not fit.

    Attributes:
        state_dict: Weights under our names.
        layout: Whose names the released weights have, 'classifier' or 'detector'.
        backbone: Arguments of `DefocusMamba` that the shapes tell.
        missing: Our names without weights.
        unexpected: Released names without a place in the model; their weights are left out.
    """

    state_dict: dict[str, Tensor]
    layout: str
    backbone: dict
    missing: list[str]
    unexpected: list[str]

    @property
    def missing_in_backbone(self) -> list[str]:
        """The missing names without which the backbone is useless."""
        return [name for name in self.missing if name.startswith('backbone.')]


def convert(weights: Mapping[str, Tensor], kind: str) -> Conversion:
    """Translates the weights of a released model.

    Args:
        weights: Released names and weights.
        kind: 'classifier', 'backbone' (out of a classifier or a detector) or 'detector'.

    Raises:
        ValueError: If the weights are not those of a released model of this kind, or shapes
            contradict each other.
    """
    is_detector = any(name.startswith('backbone.') for name in weights)
    if any('.mixer.decay.' in name for name in weights):
        raise ValueError("these weights have this project's names already")
    if kind != 'backbone' and is_detector != (kind == 'detector'):
        found = 'detector' if is_detector else 'classifier or backbone'
        raise ValueError(f'--kind {kind}: these are the weights of a {found}')
    translate = _detector_name if is_detector else _classifier_name
    released = {translate(name): name for name in weights}
    if kind == 'backbone':
        released = {new: old for new, old in released.items() if new.startswith('backbone.')}

    backbone = infer_backbone({new: weights[old] for new, old in released.items()})
    shapes = _backbone_shapes(backbone)
    for name in shapes.keys() & released.keys():
        shape, needed = tuple(weights[released[name]].shape), shapes[name]
        if shape != needed:
            raise ValueError(f'{released[name]}: shape {shape} where the others need {needed}')
    expected = set(shapes)
    if kind == 'classifier':
        expected |= _head_names(released)
    elif kind == 'detector':
        expected |= _neck_names() | _dino_names()
    return Conversion(
        state_dict={new: weights[old] for new, old in released.items() if new in expected},
        layout='detector' if is_detector else 'classifier',
        backbone=backbone,
        missing=sorted(expected - released.keys()),
        unexpected=sorted(old for new, old in released.items() if new not in expected),
    )


def revert(weights: Mapping[str, Tensor], kind: str, layout: str) -> dict[str, Tensor]:
    """Gives weights their released names again, in their order; `convert` tells what is missing.

    Args:
        weights: Our names and weights.
        kind: As in `convert`; of a 'backbone', the weights of other parts are left out.
        layout: Whose names they are to have, 'classifier' or 'detector'.

    Raises:
        ValueError: If they do not have this project's names.
    """
    if not any(name.startswith('backbone.') for name in weights):
        raise ValueError("these weights do not have this project's names")
    translate = _released_detector_name if layout == 'detector' else _released_classifier_name
    return {
        translate(name): weight
        for name, weight in weights.items()
        if kind != 'backbone' or name.startswith('backbone.')
    }


def _backbone_name(name: str) -> str:
    for old, new in BACKBONE_NAMES.items():
        name = name.replace(old, new)
    return f'backbone.{name}'


def _classifier_name(name: str) -> str:
    part, _, rest = name.partition('.')
    return f'{HEAD_NAMES[part]}.{rest}' if part in HEAD_NAMES else _backbone_name(name)


def _detector_name(name: str) -> str:
    part, _, rest = name.partition('.')
    if part == 'backbone':
        return _backbone_name(rest)
    return name.replace('.norm_layer.', '.norm.') if part == 'neck' else name


def _released_classifier_name(name: str) -> str:
    part, _, rest = name.partition('.')
    if part == 'backbone':
        for old, new in BACKBONE_NAMES.items():
            rest = rest.replace(new, old)
        return rest
    for old, new in HEAD_NAMES.items():
        if name.startswith(f'{new}.'):
            return old + name.removeprefix(new)
    return name


def _released_detector_name(name: str) -> str:
    if name.startswith('neck.'):
        return name.replace('.norm.', '.norm_layer.')
    for old, new in MIXER_NAMES.items():
        name = name.replace(new, old)
    return name


def infer_backbone(weights: Mapping[str, Tensor]) -> dict:
    """Returns the arguments of `DefocusMamba` that the shapes of its weights tell.

    The group size of the normalisation has no weights; it is 64 in every released model.

    Args:
        weights: Under our names, with the prefix 'backbone.'.

    Raises:
        ValueError: If they are not the weights of a De-focus Mamba.
    """

    def shape(suffix: str) -> torch.Size:
        for name, weight in weights.items():
            if name.startswith('backbone.') and name.endswith(suffix):
                return weight.shape
        raise ValueError(f'these are not the weights of a De-focus Mamba: none is named {suffix}')

    inner, state_size = shape('mixer.decay.A_log')
    indices = re.findall(r'^backbone\.blocks\.(\d+)\.', '\n'.join(weights), re.MULTILINE)
    arch = {
        'embed_dims': shape('mixer.in_proj.weight')[1],
        'depth': max(map(int, indices)) + 1,
        'intermediate_size': inner,
        'state_size': state_size,
        'conv_kernel': shape('mixer.conv1d.weight')[-1],
        'time_step_rank': shape('mixer.dt_proj.weight')[1],
        'group_norm_size': math.gcd(64, inner),
    }
    patches = weights.get('backbone.patch_embed.projection.weight', torch.empty(0, 3, 16, 16))
    has_rope = any(name.endswith('mixer.rope.freq') for name in weights)
    return {
        'arch': arch,
        'in_channels': patches.shape[1],
        'patch_size': patches.shape[-1],
        'rope': 'learnable' if has_rope else 'none',
    }


def _backbone_shapes(backbone: Mapping) -> dict[str, tuple[int, ...]]:
    with torch.device('meta'):
        model = DefocusMamba(**backbone)
    return {f'backbone.{name}': tuple(w.shape) for name, w in model.state_dict().items()}


def _head_names(names: Iterable[str]) -> set[str]:
    """A classifier is one linear layer, or two with a tanh between (the large model)."""
    layers = ('.0', '.2') if any(name.endswith('fc.0.weight') for name in names) else ('',)
    return {
        f'{head}{layer}.{leaf}'
        for head in HEAD_NAMES.values()
        for layer in layers
        for leaf in ('weight', 'bias')
    }


def _neck_names() -> set[str]:
    with torch.device('meta'):
        neck = SimpleFPN(in_channels=4, out_channels=4)
    return {f'neck.{name}' for name in neck.state_dict()}


def _dino_names() -> set[str]:
    """Names of mmdet's DINO without backbone and neck."""
    from mmdet.registry import MODELS
    from mmengine.hub import get_config

    with torch.device('meta'):
        detector = MODELS.build(dict(get_config(DINO).model, _scope_='mmdet'))
    return {n for n in detector.state_dict() if not n.startswith(('backbone.', 'neck.'))}
