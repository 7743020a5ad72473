"""Operations against counts by hand, and the table against its parts."""

import pytest
import torch
from mmengine.config import Config

import mmdefocus.models  # noqa: F401  registers the classes of the config
from mmdefocus.analysis.cost.flops import count_operators
from mmdefocus.analysis.cost.summary import build_on_meta, default_shape, summarize
from mmdefocus.ops import (
    available_backends,
    decayed_attention,
    ms_deform_attn,
    operators,
    retention,
    selective_scan,
)
from mmdefocus.ops.operator import Shape

SIZES = dict(embed_dims=8, depth=1, intermediate_size=16)
CLASSIFIER = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='DefocusMamba',
        arch=dict(SIZES, state_size=2, time_step_rank=3, group_norm_size=16),
        img_size=4,
        patch_size=2,
        out_type='cls_and_tokens',
    ),
    head=dict(type='DefocusClsHead', num_classes=5, in_channels=8),
)


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/model_summary')


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.py'
    imports = dict(imports=['mmdefocus.models'], allow_failed_imports=False)
    path.write_text(
        f"default_scope = 'mmpretrain'\ncustom_imports = {imports}\nmodel = {CLASSIFIER}"
    )
    return path


def summary(model=CLASSIFIER, shape=(4, 4)):
    cfg = Config(dict(default_scope='mmpretrain', model=model))
    return {part.name: part for part in summarize(build_on_meta(cfg), shape)}


def test_a_classifier_costs_what_a_count_by_hand_says():
    tokens, patches = 5, 4
    products = (
        (patches, 3 * 2 * 2, 8),  # patch embedding
        (tokens, 8, 2 * 16),  # in_proj
        (tokens, 16, 3 + 2 * 2),  # x_proj
        (tokens, 3, 16),  # dt_proj
        (tokens, 16, 8),  # out_proj
    )
    convolution = 2 * tokens * 16 * 4
    scan = tokens * 16 * (7 * 2 + 1)
    expected = sum(2 * m * k * n for m, k, n in products) + convolution + scan
    parts = summary()
    assert parts['backbone'].flops == expected
    assert parts['head'].flops == 2 * 8 * 5


def test_parameters_are_those_of_the_model():
    model = build_on_meta(Config(dict(default_scope='mmpretrain', model=CLASSIFIER)))
    parts = summarize(model, (4, 4))
    assert sum(part.parameters for part in parts) == sum(p.numel() for p in model.parameters())


def test_attention_grows_with_the_square_of_the_length_and_retention_does_not():
    def flops(operator, length):
        q = torch.empty(1, 2, length, 8)
        with count_operators() as counter:
            operator(q, q, q, torch.zeros(2))
        return counter.flops

    assert flops(decayed_attention, 3) == 2 * 3**2 * (2 * 16 + 1) + 2 * 2 * 3
    assert flops(retention, 3) == 2 * 3 * (3 * 33 + 2)
    assert flops(retention, 1000) == 2 * 1000 * (128 * 33 + 4 * 8 * 8 + 2)


def test_deformable_attention_reads_four_pixels_a_point():
    arguments = operators()['ms_deform_attn'].example(Shape(2, 3, 16), torch.float32)
    with count_operators() as counter:
        output = ms_deform_attn(**arguments)
    assert output.shape == (2, 3, 16)
    points = 2 * 3 * 4 * 2 * 4  # images, queries, heads, levels, points of each
    channels = 16 // 4  # of a head
    assert counter.flops == points * 4 * 2 * channels  # of 4 pixels, multiplied and added


def test_a_linear_layer_keeps_its_input():
    before, after = (summary(shape=(side, side))['head'].saved_bytes for side in (4, 8))
    # The CLS token is a view of all normalised tokens, 4 or 16 of patches and itself.
    assert before == (4 + 1) * 8 * 4
    assert after == (16 + 1) * 8 * 4


def test_deeper_models_keep_more_and_cost_more():
    deeper = dict(CLASSIFIER, backbone=dict(CLASSIFIER['backbone']))
    deeper['backbone']['arch'] = dict(deeper['backbone']['arch'], depth=3)
    one, three = summary()['backbone'], summary(deeper)['backbone']
    assert three.flops > 2.5 * one.flops
    assert three.saved_bytes > 2 * one.saved_bytes


def test_a_sequence_in_pieces_costs_what_the_whole_costs():
    model = build_on_meta(Config(dict(default_scope='mmpretrain', model=CLASSIFIER))).backbone
    tokens = torch.empty(2, 12, model.embed_dims, device='meta')
    with torch.no_grad(), count_operators() as whole:
        model.encode(tokens)
    with torch.no_grad(), count_operators() as pieces:
        state = model.initial_state(2)
        for piece in tokens.split(4, dim=1):
            _, state = model.advance(piece, state)
    before = 3 * 2 * 2 * 16 * 4 * 3  # 3 pieces: the convolution sees 3 tokens before each again
    assert pieces.flops - whole.flops == before * len(model.blocks)


def test_counting_leaves_the_backends_as_they_were():
    before = available_backends()
    with pytest.raises(RuntimeError, match='inside'), count_operators():
        raise RuntimeError('inside')
    assert available_backends() == before
    u = torch.ones(1, 2, 3)
    A = -torch.ones(2, 4)
    B = torch.ones(1, 4, 3)
    assert selective_scan(u, u, A, B, B, backend='naive').isfinite().all()


def test_the_table_has_the_sum_of_all_parts(tool, config, capsys):
    tool.main([str(config)])
    text = capsys.readouterr().out
    assert 'one image of 4 x 4' in text
    assert text.index('backbone') < text.index('head') < text.index('all')


def detector(**step):
    pipeline = [dict(type='LoadImageFromFile'), step]
    return Config(
        dict(default_scope='mmdet', test_dataloader=dict(dataset=dict(pipeline=pipeline)))
    )


@pytest.mark.parametrize(
    ('step', 'shape'),
    [
        (dict(type='Resize', scale=(320, 240), keep_ratio=True), (240, 320)),
        (dict(type='Resize', scale=(800, 1333), keep_ratio=True), (800, 1333)),
        (dict(type='Resize', scale=(240, 320)), (320, 240)),
        (dict(type='PackDetInputs'), (800, 1333)),
    ],
    ids=['landscape', 'either order', 'exact', 'no scale'],
)
def test_a_detector_is_measured_at_the_scale_of_its_test(step, shape):
    assert default_shape(detector(**step)) == shape


def test_the_scale_of_a_wrapped_data_set_is_found():
    cfg = detector(type='Resize', scale=(96, 96))
    cfg.test_dataloader.dataset = dict(type='RepeatDataset', dataset=cfg.test_dataloader.dataset)
    assert default_shape(cfg) == (96, 96)


def test_a_part_that_depends_on_values_has_no_operations(tool):
    known, unknown = tool.Part('a', 1, 2, 3), tool.Part('b', 10)
    assert tool.total([known, unknown]) == tool.Part('all', 11)
    assert tool.total([known, known]) == tool.Part('all', 2, 4, 6)


def test_an_impossible_shape_is_explained(tool, config, capsys):
    with pytest.raises(SystemExit):
        tool.main([str(config), '--shape', '0', '4'])
    assert 'error: --shape: expected two positive numbers, got [0, 4]' in capsys.readouterr().err
