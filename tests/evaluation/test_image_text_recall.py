import pytest
import torch
import torch.nn.functional as F

from mmdefocus.evaluation import ImageTextRecall
from mmdefocus.evaluation.image_text_recall import match_ranks


def pair(image, text, image_features, text_features):
    return {
        'img_path': image,
        'tokens': torch.tensor([text]),
        'image_features': torch.tensor(image_features),
        'text_features': torch.tensor(text_features),
    }


def test_recall_is_that_of_mmpretrain():
    from mmpretrain.evaluation import RetrievalRecall

    torch.manual_seed(0)
    queries, candidates = (F.normalize(torch.randn(30, 8), dim=-1) for _ in range(2))
    matches = torch.eye(30, dtype=torch.bool) | (torch.rand(30, 30) < 0.05)
    found = match_ranks(queries, candidates, matches)
    expected = RetrievalRecall.calculate(queries @ candidates.T, matches.long(), topk=(1, 5, 10))
    ours = [100 * (found < k).double().mean().item() for k in (1, 5, 10)]
    assert ours == pytest.approx([recall.item() for recall in expected])


def test_one_match_of_several_is_enough():
    metric = ImageTextRecall(topk=(1,))
    metric.process(
        None,
        [
            pair('a', 0, [1.0, 0.0], [0.0, 1.0]),  # this caption is nearer to the other image
            pair('a', 1, [1.0, 0.0], [1.0, 0.0]),
            pair('b', 2, [0.0, 1.0], [-1.0, 0.0]),
        ],
    )
    found = metric.evaluate(3)
    assert found['retrieval/image_to_text@1'] == 50.0
    assert found['retrieval/text_to_image@1'] == pytest.approx(200 / 3)


def test_equal_captions_are_one():
    metric = ImageTextRecall(topk=(1,))
    for image, features in (('a', [1.0, 0.0]), ('b', [0.0, 1.0])):
        metric.process(None, [pair(image, 7, features, [0.6, 0.8])])
    assert set(metric.evaluate(2).values()) == {100.0}


def test_nan_is_not_found():
    nan = torch.full((2, 2), torch.nan)
    assert match_ranks(nan, nan, torch.eye(2, dtype=torch.bool)).tolist() == [1, 1]


def test_no_caption_at_all_is_refused():
    with pytest.raises(ValueError, match='expected samples with captions'):
        ImageTextRecall().compute_metrics([])
