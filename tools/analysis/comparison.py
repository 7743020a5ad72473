"""Writes the table of docs/comparison.md: the models of configs/imagenet side by side.

Parameters and the paper's accuracy are those of the metafile, CIFAR-10 that of the runs in
docs/results/cifar10, time and memory those of docs/results/comparison.csv, and whether a model is
causal is tried out. What was not run says so.
"""

import csv
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import yaml

from mmdefocus.analysis.causality import is_causal
from mmdefocus.analysis.config_backbone import config_backbone
from mmdefocus.analysis.pages import write_tables
from mmdefocus.analysis.run_tables import spread
from mmdefocus.analysis.runs import read_runs
from mmdefocus.engine.command import command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'comparison.md'
RUNS = ROOT / 'docs' / 'results' / 'cifar10'
SPEED = ROOT / 'docs' / 'results' / 'comparison.csv'
NOT_RUN = 'not run'
HEADER = (
    '| Model | Causal | Parameters, M | Top-1, paper | CIFAR-10, here | ms | MiB |\n'
    '| --- | --- | --- | --- | --- | --- | --- |\n'
)
# on CIFAR-10, where the name is another
MINIATURES = {
    'defocus-vit noncausal': 'defocus-vit-noncausal',
    'retnet': 'retnet-fixed',
    'deit': 'vit-noncausal',
    'deit causal': 'vit-causal',
}
LAYERS = 4  # enough for every direction of an order that alternates


@command()
def main(args: Namespace) -> None:
    """Writes the table."""
    write_tables(PAGE, make_table())


def make_table() -> str:
    """Returns the table as it should be now."""
    return HEADER + ''.join(f'{line}\n' for line in rows())


def rows() -> Iterator[str]:
    """Yields a line for each model of the metafile."""
    entries = yaml.safe_load((ROOT / 'configs' / 'imagenet' / 'metafile.yml').read_text())['Models']
    accuracies: dict[str, list[float]] = {}
    for run in read_runs(RUNS):
        accuracies.setdefault(run.config, []).append(run.last('top1'))
    with SPEED.open(newline='') as file:
        speeds = {row['model']: row for row in csv.DictReader(file)}
    for entry in entries:
        torch.manual_seed(0)
        speed = speeds.get(entry['Name'])
        backbone = config_backbone(ROOT / entry['Config'], 64, 'featmap', tiny_depth=LAYERS)
        cells = (
            f'[{re.sub("_[0-9]+xb[0-9]+(_in1k$)?", "", entry["Name"])}](../{entry["Config"]})',
            'yes' if is_causal(backbone, torch.randn(1, 3, 64, 64)) else 'no',
            f'{entry["Metadata"]["Parameters"] / 1e6:.1f}',
            top1_of_paper(entry) or 'none',
            spread(accuracies.get(f'{miniature(entry["Name"])}_cifar10', ())),
            f'{float(speed["median_ms"]):,.0f}' if speed else NOT_RUN,
            f'{float(speed["peak_mib"]):,.0f}' if speed else NOT_RUN,
        )
        yield f'| {" | ".join(cells)} |'


def miniature(name: str) -> str | None:
    """Returns the name on CIFAR-10 of the miniature of a model.

    Args:
        name: Of its config, such as `deit-base_causal_8xb128_in1k`.
    """
    family, variant = re.match(r'(.+?)-(?:small|base|large)(?:-p16)?_([a-z]+_)?', name).groups()
    full = ' '.join(filter(None, (family, (variant or '').rstrip('_'))))
    return MINIATURES.get(full, None if variant else family)


def top1_of_paper(entry: Mapping) -> str | None:
    """Returns the accuracy that the paper prints, if it does."""
    for result in entry.get('Results', ()):
        if result.get('Reported By') == 'paper':
            return f'{result["Metrics"]["Top 1 Accuracy"]:.1f}'
    return None


if __name__ == '__main__':
    main()
