"""The class of a dataset, wherever it is registered."""

from collections.abc import Mapping

from mmengine.config import Config
from mmengine.registry import DATASETS


def dataset_class(cfg: Config, dataset: Mapping) -> type | None:
    """Returns the class of a dataset, which a config names or holds; None if there is none."""
    kind = dataset.get('type')
    if not isinstance(kind, str):
        return kind
    with DATASETS.switch_scope_and_registry(scope_of(cfg, dataset)) as registry:
        return registry.get(kind)


def scope_of(cfg: Config, dataset: Mapping) -> str | None:
    """Returns the scope in which the type of a dataset is looked up first."""
    return dataset.get('_scope_') or cfg.get('default_scope')
