"""For torch.compile and torch.export every operator needs a fake kernel and no hidden branch."""

import pytest
import torch

pytestmark = pytest.mark.compiler


def test_a_block_compiles_into_one_graph(build):
    model, inputs = build(), []
    block = model.blocks[0]
    with block.register_forward_pre_hook(lambda _, given: inputs.extend(given)):
        model(torch.randn(2, 3, 32, 32))
    inputs[0] = inputs[0].detach()
    torch.compiler.reset()  # forgets the blocks of other lengths, which have the same `forward`
    compiled = torch.compile(block, fullgraph=True, backend='aot_eager')
    expected, actual = block(*inputs), compiled(*inputs)
    torch.testing.assert_close(actual, expected)
    parameters = tuple(block.parameters())
    expected_grads = torch.autograd.grad(expected.square().sum(), parameters)
    actual_grads = torch.autograd.grad(actual.square().sum(), parameters)
    torch.testing.assert_close(actual_grads, expected_grads)


@torch.no_grad()
def test_a_compiled_backbone_takes_images_of_another_size(build):
    model = build()
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    for side in (32, 48):  # at the second one torch leaves the sizes open
        images = torch.randn(2, 3, side, side)
        torch.testing.assert_close(compiled(images), model(images))


def test_the_backbone_exports(build):
    model, images = build().eval(), torch.randn(1, 3, 32, 32)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), model(images))


def test_the_cls_token_and_the_tokens_export(build):
    model, images = build(out_type='cls_and_tokens').eval(), torch.randn(1, 3, 32, 32)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), model(images))
