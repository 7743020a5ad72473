"""Weights trained at one resolution and used at another (Appendix B.2).

A small DefocusMamba learns scans of digits at 16 x 16 pixels and then reads held-out ones enlarged,
its patch of 2 x 2 pixels unchanged: the same picture in r² times as many tokens. `pytest -s` prints
the accuracies with the transfer (positions divided by r², Δ by r) and without (both by 1). Much is
lost either way, for nothing is fine-tuned: the transfer is where fine-tuning starts from. The
margins are about half of the least that five seeds gave, since other processors round otherwise.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdefocus.datasets.digits import Scans, load_scans
from mmdefocus.models import DefocusMamba

PRETRAIN_SIZE = 16
ARCH = {
    'embed_dims': 32,
    'depth': 3,
    'intermediate_size': 64,
    'state_size': 8,
    'time_step_rank': 4,
    'group_norm_size': 32,
}
EPOCHS = 6
BATCH_SIZE = 50
LR = 6e-3


def build(img_size: int, **scales: float) -> DefocusMamba:
    return DefocusMamba(
        ARCH,
        img_size=img_size,
        patch_size=2,
        in_channels=1,
        pretrain_img_size=PRETRAIN_SIZE,
        **scales,
    )


def enlarge(scans: Scans, size: int) -> Tensor:
    """Returns scans of mean 0 and deviation 1, nearly, as `(N, 1, size, size)`."""
    images = torch.from_numpy(scans.images).unsqueeze(1)
    return (F.interpolate(images, (size, size), mode='bilinear') - 0.3) / 0.38


def train(scans: Scans, seed: int) -> tuple[DefocusMamba, nn.Linear]:
    """Returns a backbone and a classifier of its CLS token, trained at 16 x 16 pixels."""
    images, labels = enlarge(scans, PRETRAIN_SIZE), torch.from_numpy(scans.labels)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone, head = build(PRETRAIN_SIZE), nn.Linear(ARCH['embed_dims'], 10)
        parameters = [*backbone.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, LR, total_steps=EPOCHS * len(labels) // BATCH_SIZE, pct_start=0.2
        )
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(labels)).split(BATCH_SIZE):
                loss = F.cross_entropy(head(backbone(images[batch])[0]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 5.0)
                optimizer.step()
                schedule.step()
    return backbone, head


def measure(
    trained: tuple[DefocusMamba, nn.Linear], scans: Scans, size: int, **scales: float
) -> float:
    """Returns the share of scans recognised at a size, with r² and r or the scales given."""
    pretrained, head = trained
    backbone = build(size, **scales).eval()
    backbone.load_state_dict(pretrained.state_dict())
    with torch.inference_mode():
        images = enlarge(scans, size).split(100)
        predicted = torch.cat([head(backbone(batch)[0]).argmax(1) for batch in images])
    return (predicted == torch.from_numpy(scans.labels)).float().mean().item()


@pytest.fixture(scope='module')
def accuracy() -> Iterator[Callable[..., float]]:
    """Measures, with scans held out, the model that is trained here once, on one thread.

    Its tensors are so small that two would mostly wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_scans, held_out = load_scans()
    yield partial(measure, train(train_scans, seed=0), held_out)
    torch.set_num_threads(threads)


def test_the_digits_are_learned_at_the_size_of_training(accuracy):
    assert accuracy(PRETRAIN_SIZE) > 0.85


@pytest.mark.parametrize(('size', 'margin'), [(24, 0.1), (32, 0.05)])
def test_the_transfer_keeps_more_of_the_accuracy(accuracy, size, margin):
    without, with_transfer = accuracy(size, rope_scale=1.0, delta_scale=1.0), accuracy(size)
    print(
        f'\naccuracy at {size} x {size} of a model trained at {PRETRAIN_SIZE} x {PRETRAIN_SIZE}: '
        f'{with_transfer:.1%} with the resolution transfer, {without:.1%} without'
    )
    assert with_transfer > without + margin
