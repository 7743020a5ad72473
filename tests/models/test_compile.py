"""For torch.compile and torch.export every operator needs a fake kernel and no hidden branch."""

import pytest
import torch

from mmdefocus.models import DefocusMamba


@pytest.fixture
def model(tiny_arch):
    return DefocusMamba(tiny_arch, img_size=32, patch_size=8)


def test_a_block_compiles_into_one_graph(model):
    block, tokens = model.blocks[0], torch.randn(2, 17, 16)
    compiled = torch.compile(block, fullgraph=True, backend='aot_eager')
    expected, actual = block(tokens), compiled(tokens)
    torch.testing.assert_close(actual, expected)
    parameters = tuple(block.parameters())
    expected_grads = torch.autograd.grad(expected.square().sum(), parameters)
    actual_grads = torch.autograd.grad(actual.square().sum(), parameters)
    torch.testing.assert_close(actual_grads, expected_grads)


def test_the_backbone_exports(model):
    images = torch.randn(1, 3, 32, 32)
    program = torch.export.export(model.eval(), (images,))
    torch.testing.assert_close(program.module()(images), model(images))
