import pytest
import torch
import torch.nn.functional as F

from mmdefocus.analysis.focus.mixing import mixing_matrix
from mmdefocus.ops import decayed_attention, retention, selective_scan


def tokens_of(length=13):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, length, 16, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize('decay', ['data_dependent', 'learnable', 'fixed', 'none'])
def test_the_matrix_of_mamba_is_its_scan(decay, backbone):
    mixer = backbone('DefocusMamba', decay=decay, delta_scale=2.0).double().blocks[0].mixer
    tokens = tokens_of()
    x = mixer.prepare(mixer.in_proj(tokens).chunk(2, dim=-1)[0])
    delta = x.delta if x.delta_bias is None else x.delta + x.delta_bias
    delta = F.softplus(delta) if x.delta_softplus else delta
    expected = selective_scan(x.u.mT, delta.mT, x.A, x.B.mT, x.C.mT)
    found = (mixing_matrix(mixer, tokens) @ x.u.mT.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_the_matrix_of_retention_is_its_scores(backbone):
    mixer = backbone('DefocusRetNet').double().blocks[0].mixer
    tokens = tokens_of()
    inputs = mixer.prepare(tokens)
    found = mixing_matrix(mixer, tokens) @ inputs.v
    torch.testing.assert_close(found, retention(*inputs), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('causal', [True, False])
@pytest.mark.parametrize('decay', ['learnable', 'none'])
def test_the_matrix_of_attention_is_its_probabilities(causal, decay, backbone):
    mixer = backbone('DefocusViT', causal=causal, decay=decay).double().blocks[0].mixer
    tokens = tokens_of()
    inputs = mixer.prepare(tokens)
    matrix = mixing_matrix(mixer, tokens)
    expected = decayed_attention(*inputs, causal=causal)
    torch.testing.assert_close(matrix @ inputs.v, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(matrix.sum(-1), torch.ones_like(matrix[..., 0]))


@pytest.mark.parametrize('family', ['DefocusMamba', 'DefocusRetNet', 'DefocusViT'])
def test_rows_alone_are_those_of_the_matrix(family, backbone):
    mixer = backbone(family).double().blocks[0].mixer
    whole = mixing_matrix(mixer, tokens_of())
    for rows in (slice(-1, None), slice(3, 7)):
        torch.testing.assert_close(mixing_matrix(mixer, tokens_of(), rows), whole[:, :, rows])


def test_a_decay_that_underflows_is_zero(backbone):
    mixer = backbone('DefocusMamba').blocks[0].mixer
    torch.nn.init.constant_(mixer.dt_proj.bias, 300.0)
    assert mixing_matrix(mixer, tokens_of(40).float()).isfinite().all()


def test_a_mixer_of_two_directions_is_refused(backbone):
    mixer = backbone('BidirectionalMamba').blocks[0].mixer
    with pytest.raises(ValueError, match='got BidirectionalMambaMixer'):
        mixing_matrix(mixer, tokens_of())
