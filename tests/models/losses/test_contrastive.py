import math
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing import start_processes

from mmdefocus.models.losses import SigmoidContrastiveLoss, SoftmaxContrastiveLoss

open_clip = pytest.importorskip('open_clip')
KINDS = [SoftmaxContrastiveLoss, SigmoidContrastiveLoss]
PAIRS, CHANNELS = 8, 6


def pairs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, PAIRS, CHANNELS, generator=generator, dtype=torch.float64).unbind()


class Towers(nn.Module):
    """Two linear encoders and a loss."""

    def __init__(self, kind: type, local: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.image = nn.Linear(CHANNELS, CHANNELS)
        self.text = nn.Linear(CHANNELS, CHANNELS)
        self.loss = kind(local=local)
        self.double()

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        return self.loss(
            F.normalize(self.image(images), dim=-1), F.normalize(self.text(texts), dim=-1)
        )

    def step(self, images: Tensor, texts: Tensor) -> list[Tensor]:
        """Returns the loss and the gradients of all parameters."""
        loss = self(images, texts)
        loss.backward()
        return [loss.detach(), *(parameter.grad for parameter in self.parameters())]


def run(rank: int, world_size: int, kind: type, local: bool, folder: str) -> None:
    """Takes a step in one of several processes; the first writes the averages."""
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    results = Towers(kind, local).step(*(part.chunk(world_size)[rank] for part in pairs()))
    for result in results:
        dist.all_reduce(result)
    if rank == 0:
        torch.save([result / world_size for result in results], f'{folder}/results.pth')
    dist.barrier()
    os._exit(0)  # gloo's threads may outlive the test's process otherwise


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('local', [True, False])
@pytest.mark.parametrize('world_size', [2, 4])
def test_processes_take_the_step_of_one(kind, local, world_size, tmp_path: Path):
    start_processes(
        run, (world_size, kind, local, str(tmp_path)), nprocs=world_size, start_method='fork'
    )
    for several, one in zip(
        torch.load(tmp_path / 'results.pth'), Towers(kind, local).step(*pairs()), strict=True
    ):
        torch.testing.assert_close(several, one, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ('kind', 'theirs', 'settings'),
    [
        (SoftmaxContrastiveLoss, 'ClipLoss', {}),
        (SigmoidContrastiveLoss, 'SigLipLoss', {'logit_bias': torch.tensor(-10.0)}),
    ],
)
def test_loss_and_gradients_are_those_of_open_clip(kind, theirs, settings):
    ours = kind()
    features = [F.normalize(part, dim=-1).float().requires_grad_() for part in pairs()]
    scale = ours.logit_scale.detach().exp().requires_grad_()
    expected = getattr(open_clip.loss, theirs)()(*features, scale, **settings)
    expected_gradients = torch.autograd.grad(expected, [*features, scale])
    loss = ours(*features)
    *gradients, of_log = torch.autograd.grad(loss, [*features, ours.logit_scale])
    assert torch.equal(loss, expected)
    for found, wanted in zip([*gradients, of_log / scale], expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted)


def test_scale_begins_as_in_clip():
    model = open_clip.CLIP(8, dict(layers=1, width=64, patch_size=112), dict(width=64, layers=1))
    assert torch.equal(SoftmaxContrastiveLoss().logit_scale, model.logit_scale)


def test_scale_and_bias_begin_as_in_siglip():
    loss = SigmoidContrastiveLoss()
    assert loss.logit_scale.exp().item() == pytest.approx(10)  # Algorithm 1 of arXiv 2303.15343
    assert (
        loss.logit_bias.item() == open_clip.get_model_config('ViT-B-16-SigLIP')['init_logit_bias']
    )


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('start', 'clamped'), [(9.0, math.log(100)), (-1.0, 0.0)])
def test_scale_is_clamped_and_goes_on_learning(kind, start, clamped):
    loss = kind()
    nn.init.constant_(loss.logit_scale, start)
    loss(*(F.normalize(part, dim=-1) for part in pairs())).backward()
    assert loss.logit_scale.item() == pytest.approx(clamped)
    assert loss.logit_scale.grad != 0


def test_loss_is_not_rounded_under_autocast():
    features = [F.normalize(part, dim=-1).float() for part in pairs()]
    loss = SoftmaxContrastiveLoss()
    expected = loss(*features)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(loss(*features), expected)


def test_wrong_scale_is_refused():
    with pytest.raises(ValueError, match='init_scale: expected a positive'):
        SoftmaxContrastiveLoss(init_scale=0.0)
