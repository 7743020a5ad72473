"""The backbone of a config at another resolution, to try something out on it."""

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from ..models.backbones import ImageBackbone
from ..utils.errors import InputError

TINY_VIT = {'embed_dims': 64, 'num_heads': 2, 'feedforward_channels': 64}  # of MMPretrain


def config_backbone(
    config: Path, img_size: int, out_type: str = 'cls_token', tiny_depth: int | None = None
) -> nn.Module:
    """Builds the backbone of a classifier's config with fresh weights and without drop path.

    Args:
        config: A file of `configs/imagenet` or one like it.
        img_size: Side of the images in pixels, in place of the config's. The side in pre-training
            keeps its ratio to it.
        out_type: Of the backbone, in place of the config's.
        tiny_depth: Makes the model narrow and of so many layers; None leaves it as it is.

    Raises:
        InputError: If the config has no `model.backbone`.
    """
    model = Config.fromfile(config).get('model', {})
    if 'backbone' not in model:
        raise InputError(f'{config}: expected the config of a model with a backbone, got none')
    settings = dict(model['backbone'])
    for key in ('init_cfg', 'drop_path_rate'):
        settings.pop(key, None)
    if settings.get('pretrain_img_size'):
        ratio = settings['pretrain_img_size'] / settings['img_size']
        settings['pretrain_img_size'] = round(ratio * img_size)
    settings.update(img_size=img_size, out_type=out_type)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        if tiny_depth is not None:
            settings['arch'] = _tiny_arch(settings['type'], tiny_depth)
        return MODELS.build(settings)


def _tiny_arch(kind: str, depth: int) -> dict[str, int]:
    backbone = MODELS.module_dict.get(kind)  # without those of MMPretrain
    if backbone is not None and issubclass(backbone, ImageBackbone):
        return {**backbone.archs['tiny'], 'depth': depth}
    return {**TINY_VIT, 'num_layers': depth}
