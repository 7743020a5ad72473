"""Writes docs/model_zoo.md from model-index.yml and the metafiles that it names.

Parameters, FLOPs and activations in the metafiles are what tools/analysis/model_summary.py shows.
A result `Reported By: paper` is the paper's; others are ours.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from mmdefocus.engine.command import command
from mmdefocus.utils.files import replacing

ROOT = Path(__file__).parents[2]
ZOO = ROOT / 'docs' / 'model_zoo.md'
INTRODUCTION = """# Model zoo

Made by `python tools/analysis/model_zoo.py` from `model-index.yml`; change the metafiles, not this
page.

Results of the paper are quoted from it: **none is ours**, and a result of ours is "not measured"
where we have not trained a model to the end. Parameters include the auxiliary classifier. GFLOPs
(two operations per multiplication with addition) and activations (what training keeps for one
image, in float32, with our kernels) are counted, not timed, by `tools/analysis/model_summary.py`,
at the resolution of training; of detectors they are those of backbone and neck at 800 x 1333, of
CLIP those of the image tower.

Names lead to configs: `mim search mmdefocus --config NAME` where the package is installed with
`pip install .` (tried with openmim 0.3.9), and from the repository

```python
import mmdefocus  # before OpenMMLab, see docs/installation.md
from mmpretrain.apis.model import ModelHub

ModelHub.register_model_index('model-index.yml', config_prefix='.')
config = ModelHub.get('defocus-mamba-base_8xb128_in1k').config
```
"""
HEADER = (
    '| Config | Epochs | Parameters, M | GFLOPs | Activations, MiB | Paper | Ours |\n'
    '| --- | --- | --- | --- | --- | --- | --- |\n'
)


@command()
def main(args: Namespace) -> None:
    """Writes the page."""
    with replacing(ZOO) as unfinished:
        unfinished.write_text(make_page(ROOT))


def make_page(root: Path) -> str:
    """Returns the page for the metafiles of a repository."""
    return '\n'.join([INTRODUCTION, *sections(root)])


def sections(root: Path) -> Iterator[str]:
    """Yields a section for each metafile: its folder and a table of its models."""
    for metafile in yaml.safe_load((root / 'model-index.yml').read_text())['Import']:
        folder = Path(metafile).parent
        models = yaml.safe_load((root / metafile).read_text())['Models']
        rows = ''.join(f'{row(model)}\n' for model in models)
        yield f'## [{folder}](../{folder}/README.md)\n\n{HEADER}{rows}'


def row(model: Mapping) -> str:
    """Returns the line of a model."""
    about = model['Metadata']
    cells = (
        f'[{model["Name"]}](../{model["Config"]})',
        str(about['Epochs']),
        f'{about["Parameters"] / 1e6:.1f}',
        f'{about["FLOPs"] / 1e9:.1f}',
        f'{about["Activations"] / 2**20:,.0f}',
        results(model, of_paper=True),
        results(model, of_paper=False) or 'not measured',
    )
    return f'| {" | ".join(cells)} |'


def results(model: Mapping, of_paper: bool) -> str:
    """Returns the metrics of the paper, or ours, as text."""
    return ', '.join(
        f'{metric} {value}'
        for result in model.get('Results', ())
        if (result.get('Reported By') == 'paper') == of_paper
        for metric, value in result['Metrics'].items()
    )


if __name__ == '__main__':
    main()
