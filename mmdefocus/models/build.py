"""The model of a config, built as MMEngine's runner builds it.

It stands here, below `engine`, `apis` and `analysis`, because all three build models.
"""

from copy import deepcopy

from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope


def build_model(cfg: Config) -> BaseModel:
    """Returns the model of a config, on the current device; no weights are loaded.

    `data_preprocessor` may stand in the model or beside it. Classes are looked up in
    `default_scope`, which is not changed for what follows. Nor is the config, though models of
    mmdet write into theirs.
    """
    model = deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', deepcopy(cfg.data_preprocessor))
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        return MODELS.build(model)
