import pytest
import torch
import torch.nn.functional as F

from mmdefocus.analysis.focus.mixing import has_matrix, mixing_map, mixing_matrix
from mmdefocus.models.layers import Filter
from mmdefocus.models.mixers import MambaMixer
from mmdefocus.ops import decayed_attention, retention, selective_scan


def tokens_of(length=13):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, length, 16, generator=generator, dtype=torch.float64)


def scanned(x):
    """What the scan makes of its inputs, `(B, D, L)`."""
    delta = x.delta if x.delta_bias is None else x.delta + x.delta_bias
    delta = F.softplus(delta) if x.delta_softplus else delta
    return selective_scan(x.u.mT, delta.mT, x.A, x.B.mT, x.C.mT)


@pytest.mark.parametrize('decay', ['data_dependent', 'learnable', 'fixed', 'none'])
def test_the_matrix_of_mamba_is_its_scan(decay, backbone):
    mixer = backbone('DefocusMamba', decay=decay, delta_scale=2.0).double().blocks[0].mixer
    tokens = tokens_of()
    x = mixer.prepare(mixer.in_proj(tokens).chunk(2, dim=-1)[0])
    found = (mixing_matrix(mixer, tokens) @ x.u.mT.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(found, scanned(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ('family', 'options'),
    [('DefocusRetNet', {}), ('DefocusMamba2', {}), ('DefocusMamba2', {'decay': 'learnable'})],
    ids=str,
)
def test_the_matrix_of_retention_is_its_scores(family, options, backbone):
    mixer = backbone(family, **options).double().blocks[0].mixer
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


@pytest.mark.parametrize('family', ['DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT'])
def test_rows_alone_are_those_of_the_matrix(family, backbone):
    mixer = backbone(family).double().blocks[0].mixer
    whole = mixing_matrix(mixer, tokens_of())
    for rows in (slice(-1, None), slice(3, 7)):
        torch.testing.assert_close(mixing_matrix(mixer, tokens_of(), rows), whole[:, :, rows])


def test_a_decay_that_underflows_is_zero(backbone):
    mixer = backbone('DefocusMamba').blocks[0].mixer
    torch.nn.init.constant_(mixer.dt_proj.bias, 300.0)
    assert mixing_matrix(mixer, tokens_of(40).float()).isfinite().all()


def test_the_matrix_of_two_directions_is_both_scans(backbone):
    mixer = backbone('BidirectionalMamba').double().blocks[0].mixer
    tokens = tokens_of()
    place = torch.arange(13)
    order = torch.cat((place[:6], place[-1:], place[6:-1]))  # CLS is read in the middle
    u, _ = mixer.in_proj(tokens[:, order]).chunk(2, dim=-1)
    forth, back = mixer.prepare(u), mixer.reverse.prepare(u.flip(1))
    read_at = order.argsort()
    read = torch.cat((forth.u, back.u.flip(1)), dim=-1)[:, read_at].mT.unsqueeze(-1)
    expected = torch.cat((scanned(forth), scanned(back).flip(-1)), dim=1)[..., read_at]
    found = mixing_matrix(mixer, tokens) @ read
    torch.testing.assert_close(found.squeeze(-1), expected, rtol=1e-10, atol=1e-12)
    rows = mixing_matrix(mixer, tokens, slice(2, 5))
    torch.testing.assert_close(rows, mixing_matrix(mixer, tokens)[:, :, 2:5])


def test_the_matrix_of_mmpretrain_is_its_attention(deit):
    mixer = deit.double().layers[0].attn
    tokens = tokens_of()
    v = mixer.qkv(tokens).chunk(3, dim=-1)[2].unflatten(-1, (2, -1)).transpose(1, 2)
    mixed = (mixing_matrix(mixer, tokens) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixer.proj(mixed), mixer(tokens), rtol=1e-10, atol=1e-12)


def test_a_map_is_the_mean_magnitude_of_its_channels(backbone, monkeypatch):
    mixer = backbone('DefocusMamba').blocks[0].mixer
    tokens = tokens_of().float()
    magnitudes = mixing_matrix(mixer, tokens).abs()
    monkeypatch.setattr('mmdefocus.analysis.focus.mixing.ENTRIES_AT_ONCE', 1)
    found = mixing_map(mixer, tokens, slice(1, 12, 3), groups=2)
    expected = torch.stack([x.mean(1) for x in magnitudes.chunk(2, dim=1)], dim=1)
    torch.testing.assert_close(found, expected[:, :, 1:12:3])


def test_groups_divide_the_channels(backbone):
    mixer = backbone('DefocusViT').blocks[0].mixer
    for groups in (0, 3):
        with pytest.raises(ValueError, match=f'groups: expected a divisor of 2, got {groups}'):
            mixing_map(mixer, tokens_of().float(), groups=groups)


def test_another_module_is_refused():
    with pytest.raises(ValueError, match=r'mixer: expected a mixer of mmdefocus .* got Linear'):
        mixing_matrix(torch.nn.Linear(16, 16), tokens_of())


def test_a_scan_without_states_has_no_matrix():
    sizes = {'embed_dims': 16, 'intermediate_size': 64, 'state_size': 0}
    assert not has_matrix(MambaMixer(**sizes, filter=Filter(decay='none', rope='none')))
