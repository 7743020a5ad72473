from functools import partial

import pytest
import torch
from torch import nn

from mmdefocus.models import SequenceEncoder
from mmdefocus.models.layers import MLP, Block
from mmdefocus.models.mixers import AttentionMixer, MambaMixer, RetentionMixer

MIXERS = {
    'mamba': partial(MambaMixer, 16, 32, state_size=4, time_step_rank=2, group_norm_size=16),
    'retention': partial(RetentionMixer, 16, 2, 32),
    'attention': partial(AttentionMixer, 16, 2),
    'full attention': partial(AttentionMixer, 16, 2, causal=False),
}
NORMAL = {'type': 'Normal', 'layer': 'Linear', 'std': 1.0}


@pytest.fixture(params=MIXERS)
def build(request):
    """Builds an encoder of 3 blocks, with each mixer in turn; all but Mamba have MLPs."""

    def build_block():
        mlp = () if request.param == 'mamba' else (nn.LayerNorm(16), MLP(16, 24))
        return Block(nn.LayerNorm(16), MIXERS[request.param](), *mlp)

    def build(**settings):
        return SequenceEncoder([build_block() for _ in range(3)], nn.LayerNorm(16), **settings)

    return build


def randomise(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5)
    return model


@pytest.mark.parametrize('length', [1, 7, 77])
def test_a_sequence_of_any_length_passes_the_blocks_and_the_norm(build, length):
    encoder, tokens = build(), torch.randn(2, length, 16)
    expected = tokens
    for block in encoder.blocks:
        expected = block(expected)
    assert torch.equal(encoder(tokens), encoder.norm(expected))


def test_drop_path_rises_with_the_depth(build):
    encoder = build(drop_path_rate=0.2)
    assert [block.drop_path.rate for block in encoder.blocks] == [0.0, 0.1, 0.2]
    encoder.set_drop_path_rate(0.6)
    assert [block.drop_path.rate for block in encoder.blocks] == [0.0, 0.3, 0.6]


def test_recomputing_the_blocks_gives_the_same_gradients(build):
    encoder, tokens = build(drop_path_rate=0.5), torch.randn(4, 9, 16)
    gradients = []
    for encoder.with_cp in (False, True):
        torch.manual_seed(0)
        loss = encoder(tokens).square().mul(torch.arange(16)).sum()
        gradients.append(torch.autograd.grad(loss, tuple(encoder.parameters())))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('init_cfg', [None, NORMAL, [NORMAL]])
def test_init_weights_resets_the_filters(build, init_cfg):
    """A rule for linear layers would overwrite the time steps of Mamba, which are filters too."""
    encoder, fresh = build(init_cfg=init_cfg), build().blocks[0].mixer
    filters = [
        name
        for name, _ in fresh.named_parameters()
        if name in ('decay.A_log', 'rope.freq', 'dt_proj.bias', 'D')
    ]
    randomise(encoder).init_weights()
    for block in encoder.blocks:
        for name in filters:
            assert torch.equal(block.mixer.get_parameter(name), fresh.get_parameter(name)), name


def test_init_weights_follows_its_rule_elsewhere(build):
    encoder = build(init_cfg=NORMAL)
    encoder.init_weights()
    linears = [m for m in encoder.blocks[0].mixer.modules() if isinstance(m, nn.Linear)]
    assert abs(linears[0].weight.std().item() - 1.0) < 0.15


def test_pretrained_weights_survive_init_weights(build, tmp_path):
    source = randomise(build())
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'weights.pth')
    encoder = build(init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'weights.pth')})
    encoder.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value), name


def test_taps_count_layers_from_one_and_chain_them(build):
    encoder, tokens = build().eval(), torch.randn(2, 5, 16)
    with encoder.tapped() as taps:
        output = encoder(tokens)
    assert torch.equal(taps['layer1.input'], tokens)
    assert torch.equal(taps['layer1.output'], taps['layer2.input'])
    assert torch.equal(taps['layer2.output'], taps['layer3.input'])
    assert torch.equal(encoder.norm(taps['layer3.output']), output)


def test_the_branches_of_a_layer_add_up_to_what_it_changes(build):
    encoder = build().eval()
    with encoder.tapped() as taps:
        encoder(torch.randn(2, 5, 16))
    branches = [taps[f'layer2.{name}'] for name in ('mixer', 'mlp') if f'layer2.{name}' in taps]
    assert len(branches) == 1 + (encoder.blocks[0].mlp is not None)
    torch.testing.assert_close(taps['layer2.input'] + sum(branches), taps['layer2.output'])


def test_taps_are_parts_of_the_graph(build):
    encoder = randomise(build()).eval()
    with encoder.tapped() as taps:
        encoder(torch.randn(1, 5, 16))
    norm = taps['layer2.output'][0, -1].norm()
    (gradient,) = torch.autograd.grad(norm, taps['layer2.input'])
    assert gradient[0, -1].any()


def test_nothing_is_tapped_after_the_context(build):
    encoder = build()
    with encoder.tapped() as taps:
        pass
    encoder(torch.randn(1, 5, 16))
    assert not taps


def test_a_bad_drop_path_rate_is_named(build):
    with pytest.raises(ValueError, match=r'drop_path_rate: expected a number in \[0, 1\), got 1'):
        build(drop_path_rate=1)
