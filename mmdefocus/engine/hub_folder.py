"""A folder in the layout of a repository on the Hugging Face hub: card, config and weights."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner.checkpoint import load_state_dict

from ..checkpoints.checks import checked_load, is_pretrained
from ..checkpoints.files import write_checkpoint
from ..datasets.config_parts import compare_classes, declared_classes, leaves, type_name
from ..models.build import build_model
from ..utils.checkpoint_meta import classes_of
from ..utils.config_keys import check_keys
from ..utils.errors import InputError
from ..utils.files import folder_beside
from ..version import __version__
from .config.check import WRITTEN

TASKS = {
    'mmpretrain': ('image-classification', "found['classes']"),
    'mmdet': ('object-detection', "found['boxes']"),
}
MARKUP = re.compile(r'[\\`*_~<>&|#$!\[\]]')
OUTPUTS = (*WRITTEN, 'save_dir', 'out_dir')  # of metrics, visualizers and hooks
ZERO_SHOT = ('zero-shot-image-classification', "found['labels']")
CARD = """\
---
library_name: mmdefocus
pipeline_tag: {task}
tags:
- {backbone}
- openmmlab
- arxiv:2406.04342
---

# {name}

{architecture} with the backbone {backbone}, {parameters:.2f}M parameters. It is for use with
`mmdefocus` {version}, an implementation of De-focus Attention Networks
([arXiv 2406.04342](https://arxiv.org/abs/2406.04342)) for OpenMMLab.

- `model.safetensors`: the weights for inference.
- `config.py`: the config of the model. It is a program: read it before you use it.
{classes}
```python
from mmdefocus.apis import Inferencer

inferencer = Inferencer('config.py', 'model.safetensors'{labels})
(found,) = inferencer('image.jpg')
print({result})
```

Once the folder is on the hub, a config starts from these weights with

```python
load_from = 'hf://ORG/NAME/model.safetensors'
```
"""


def write_hub_folder(
    cfg: Config, checkpoint: Mapping[str, Any], source: str, out: Path
) -> list[Path]:
    """Writes `README.md`, `config.py` and `model.safetensors`, all of them or nothing.

    Args:
        cfg: The config of the model, which the weights must fit.
        checkpoint: What `inference_checkpoint` returns.
        source: The path of the checkpoint, for messages.
        out: A folder that does not exist.

    Returns:
        The paths of the files.

    Raises:
        InputError: If the weights do not fit, the config names other classes or lacks what
            inference needs, or it is neither of mmdet nor of mmpretrain.
    """
    check_keys(cfg, ('model', 'test_dataloader'))
    model = build_model(cfg)
    with checked_load(model, source, 'nothing'):
        load_state_dict(model, checkpoint['state_dict'])
    names = declared_classes(next(leaves(cfg.test_dataloader.dataset)))
    compare_classes(source, checkpoint, 'test_dataloader.dataset', names)
    card = model_card(cfg, checkpoint)
    with folder_beside(out) as folder:
        unfinished = folder / out.name
        unfinished.mkdir()
        (unfinished / 'README.md').write_text(card, 'utf-8', 'backslashreplace')
        portable(cfg).dump(unfinished / 'config.py')
        write_checkpoint(checkpoint, unfinished / 'model.safetensors')
        os.replace(unfinished, out)
    return sorted(out.iterdir())


def model_card(cfg: Config, checkpoint: Mapping[str, Any]) -> str:
    """Returns the model card, Markdown behind a header of YAML.

    It says what config and checkpoint say. License, data and results are not among it.

    Raises:
        InputError: If the config is neither of mmdet nor of mmpretrain.
    """
    zero_shot = type_name(cfg.model.type) == 'DefocusCLIP'
    if not zero_shot and cfg.get('default_scope') not in TASKS:
        raise InputError(
            f'{cfg.filename}: expected default_scope mmdet or mmpretrain, got '
            f'{cfg.get("default_scope")!r}'
        )
    task, result = ZERO_SHOT if zero_shot else TASKS[cfg.default_scope]
    names = [as_markdown(name) for name in classes_of(checkpoint, cfg.filename)]
    backbone = cfg.model.vision_backbone if zero_shot else cfg.model.backbone
    return CARD.format(
        task=task,
        result=result,
        backbone=type_name(backbone.type),
        architecture=type_name(cfg.model.type),
        name=as_markdown(Path(cfg.filename).stem),
        parameters=sum(weight.numel() for weight in checkpoint['state_dict'].values()) / 1e6,
        version=__version__,
        classes=f'- {len(names)} classes: {", ".join(names)}.\n' if names else '',
        labels=", labels=['a cat', 'a dog']" if zero_shot else '',
    )


def as_markdown(text: str) -> str:
    """Returns Markdown of one line that shows a text as it is."""
    return MARKUP.sub(r'\\\g<0>', ' '.join(text.split()))


def portable(cfg: Config) -> Config:
    """Returns a copy of a config that does not name the files of a training on this machine.

    Left out are its work directory and the weights that it began with. Files and folders that it
    writes keep their names alone, without those above them; the folders of data stay.
    """
    content = _without_files(cfg.to_dict())
    for key in ('work_dir', 'load_from', 'resume', 'launcher'):
        content.pop(key, None)
    return Config(content)


def local_paths(node: object) -> list[str]:
    """Returns the absolute paths in a config, sorted, each once: they are of this machine alone."""
    if isinstance(node, str):
        return [node] if Path(node).is_absolute() or node.startswith('~') else []
    if isinstance(node, Mapping):
        node = node.values()
    elif not isinstance(node, list | tuple):
        return []
    return sorted({path for child in node for path in local_paths(child)})


def _without_files(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return type(node)(_without_files(child) for child in node if not _is_pretrained(child))
    if not isinstance(node, dict):
        return node
    return {
        key: Path(child).name if _is_output(key, child) else _without_files(child)
        for key, child in node.items()
        if not (key == 'init_cfg' and _is_pretrained(child))
    }


def _is_pretrained(node: Any) -> bool:
    return isinstance(node, dict) and is_pretrained(node)


def _is_output(key: str, value: Any) -> bool:
    return key in OUTPUTS and isinstance(value, str)
