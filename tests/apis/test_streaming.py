import numpy as np
import pytest
import torch

from mmdefocus.apis.streaming import StreamReader, settled_at
from mmdefocus.models.build import build_model
from mmdefocus.utils.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)


def strips():
    yield from np.split(PIXELS, (16, 32))


@pytest.mark.parametrize('out_type', ['cls_token', 'cls_and_tokens', 'cls_per_strip'])
@pytest.mark.parametrize('to_rgb', [True, False])
def test_every_answer_is_that_of_the_rows_so_far(tiny, make_predictor, out_type, to_rgb):
    tiny.config.data_preprocessor.to_rgb = to_rgb
    tiny.config.model.backbone.out_type = out_type
    if out_type == 'cls_token':
        tiny.config.model.head = dict(type='LinearClsHead', num_classes=3, in_channels=16)
        tiny.weights = build_model(tiny.config).state_dict()
    predictor = make_predictor()
    readings = list(StreamReader(predictor, *PIXELS.shape[:2]).read(strips()))
    assert [reading.rows for reading in readings] == [16, 32, 40]
    for reading in readings:
        image = torch.from_numpy(PIXELS[: reading.rows, :, ::-1].copy()).permute(2, 0, 1)  # BGR
        batch = predictor.model.data_preprocessor({'inputs': [image], 'data_samples': None})
        with torch.no_grad():
            expected = predictor.model(batch['inputs'], mode='tensor').softmax(-1)[0]
        torch.testing.assert_close(reading.scores, expected, rtol=1e-5, atol=1e-6)


def test_the_best_classes_come_first_with_their_names(make_predictor):
    reader = StreamReader(make_predictor(metainfo=dict(classes=('a', 'b', 'c'))), 40, 24)
    found = reader.best(torch.tensor([0.2, 0.7, 0.1]))
    assert [entry['name'] for entry in found] == ['b', 'a', 'c']
    assert [entry['label'] for entry in found] == [1, 0, 2]
    assert found[0]['score'] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ('part', 'settings', 'message'),
    [
        ('backbone', dict(type='BidirectionalMamba'), 'model.backbone: .* from both ends'),
        ('head', dict(type='AverageClsHead'), 'model.head: AverageClsHead classifies tokens'),
        ('neck', dict(type='GlobalAveragePooling'), 'model.neck: '),
    ],
)
def test_a_model_that_cannot_be_read_by_strips_is_named(
    tiny, make_predictor, part, settings, message
):
    tiny.config.model[part] = {**(tiny.config.model.get(part) or {}), **settings}
    tiny.weights = build_model(tiny.config).state_dict()
    with pytest.raises(InputError, match=message):
        StreamReader(make_predictor(), 40, 24)


@pytest.mark.parametrize(('answers', 'index'), [([1], 0), ([1, 2, 2], 1), ([2, 1, 2], 2)])
def test_an_answer_settles_where_it_changes_last(answers, index):
    assert settled_at(answers) == index
