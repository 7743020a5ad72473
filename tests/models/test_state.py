"""An encoder that goes on from a state, and attention that sums up what has faded."""

import math

import pytest
import torch

from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import AttentionMixer, BidirectionalMambaMixer
from mmdefocus.models.sequence_state import named_tensors, with_tensors

from .conftest import build_tiny

FAMILIES = ('DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT')
FORGET = 1e-3


def make(family):
    torch.manual_seed(0)
    return build_tiny(family).double(), torch.randn(2, 17, 16, dtype=torch.float64)


def run_in_pieces(encoder, tokens, *cuts):
    state, outputs = encoder.initial_state(len(tokens)), []
    for piece in tokens.tensor_split(cuts, dim=1):
        output, state = encoder.advance(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('cuts', [(), (0,), (17,), (1,), (16,), (5, 6, 6, 13)], ids=str)
def test_pieces_give_values_and_gradients_of_the_whole(family, cuts):
    encoder, tokens = make(family)
    weights = [p for block in encoder.blocks for p in block.parameters() if p.requires_grad]
    results = []
    for run in (encoder.encode, lambda tokens: run_in_pieces(encoder, tokens, *cuts)[0]):
        leaf = tokens.clone().requires_grad_()
        y = run(leaf)
        loss = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
        results.append((y, torch.autograd.grad(loss, (leaf, *weights))))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('family', FAMILIES)
def test_an_earlier_state_can_be_gone_on_from_again(family):
    encoder, tokens = make(family)
    with torch.no_grad():
        _, state = encoder.advance(tokens[:, :9], encoder.initial_state(2))
        before = {name: tensor.clone() for name, tensor in named_tensors(state)}
        first, after = encoder.advance(tokens[:, 9:], state)
        again, _ = encoder.advance(tokens[:, 9:], state)
    assert torch.equal(first, again)
    assert (state.position, after.position) == (9, 17)
    assert all(torch.equal(tensor, before[name]) for name, tensor in named_tensors(state))


@pytest.mark.parametrize('family', FAMILIES)
def test_a_state_is_made_of_its_tensors(family):
    encoder, _ = make(family)
    state = encoder.initial_state(2)
    tensors = dict(named_tensors(state))
    assert with_tensors(state, tensors) == state
    other = with_tensors(state, {name: tensor + 1 for name, tensor in tensors.items()})
    assert other.position == 1 and type(other.blocks[0]) is type(state.blocks[0])


def test_mixers_that_look_ahead_have_no_state():
    mixer = BidirectionalMambaMixer(
        embed_dims=16, intermediate_size=32, state_size=4, time_step_rank=2, group_norm_size=16
    )
    with pytest.raises(ValueError, match='reads the image from both ends'):
        mixer.initial_state(1)
    with pytest.raises(ValueError, match='causal=False lets tokens attend to later ones'):
        AttentionMixer(16, 2, causal=False).initial_state(1)


def advance(mixer, tokens, forget, size=16):
    """Returns what a mixer makes of tokens piece by piece, and the last state."""
    state, outputs = mixer.initial_state(len(tokens), forget), []
    with torch.no_grad():
        for index, piece in enumerate(tokens.split(size, dim=1)):
            output, state = mixer.advance(piece, state, torch.tensor(index * size))
            outputs.append(output)
    return torch.cat(outputs, dim=1), state


def make_attention(decay='learnable'):
    torch.manual_seed(0)
    mixer = AttentionMixer(16, 4, filter=Filter(decay)).double()
    with torch.no_grad():
        mixer.qkv.weight.mul_(20)
        torch.nn.init.eye_(mixer.proj.weight)  # heads side by side, as they are
        if mixer.decay is not None:
            mixer.decay.A_log.copy_(torch.tensor([0.5, 0.2, 0.1, 0.04]).log())
    return mixer, torch.randn(2, 400, 16, dtype=torch.float64)


def test_attention_forgets_within_the_stated_bound():
    mixer, tokens = make_attention()
    with torch.no_grad():
        expected = mixer(tokens)
        q, k, v, _ = mixer.prepare(tokens)
    found, _ = advance(mixer, tokens, FORGET)
    largest = (q @ k.mT).abs().amax((0, 2, 3)) / math.sqrt(q.shape[-1])  # of each head
    delta = torch.expm1(FORGET * largest)
    bound = 2 * delta / (1 - delta) * v.norm(dim=-1).amax((0, 2))
    error = (found - expected).unflatten(-1, (4, 4)).norm(dim=-1).amax((0, 1))
    assert (error <= bound).all()
    assert error.max() > 0.0


def test_attention_keeps_no_more_tokens_than_have_not_faded():
    mixer, tokens = make_attention()
    _, state = advance(mixer, tokens, FORGET)
    reach = (math.log(FORGET) / mixer.log_decay(tokens)).ceil().int().tolist()
    assert [keys.shape[1] for keys in state.keys] == reach
    assert state.number.tolist() == [400 - kept for kept in reach]


@pytest.mark.parametrize(('decay', 'forget'), [('learnable', 0.0), ('none', FORGET)])
def test_attention_keeps_what_does_not_fade(decay, forget):
    mixer, tokens = make_attention(decay)
    found, state = advance(mixer, tokens, forget)
    with torch.no_grad():
        torch.testing.assert_close(found, mixer(tokens), rtol=1e-12, atol=1e-12)
    assert {keys.shape[1] for keys in state.keys} == {400}


@pytest.mark.parametrize('forget', [-0.1, 1.0])
def test_a_share_out_of_its_range_is_named(forget):
    with pytest.raises(ValueError, match=r'forget: expected a number in \[0, 1\)'):
        AttentionMixer(16, 2).initial_state(1, forget)
