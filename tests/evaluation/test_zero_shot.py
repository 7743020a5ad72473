from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mmdefocus.evaluation import ZeroShotAccuracy, ZeroShotHook
from mmdefocus.evaluation.zero_shot import ranks


class Model:
    """Embeds class k as the k-th unit vector, turned by what it has learned."""

    turn = 0

    def embed_classes(self, classes, templates):
        return torch.eye(len(classes)).roll(self.turn, 0)


def samples(labels, predicted):
    features = F.one_hot(torch.tensor(predicted), 4).float()
    return [
        {'image_features': f, 'gt_label': torch.tensor(label)}
        for f, label in zip(features, labels, strict=True)
    ]


@pytest.fixture
def metric():
    return ZeroShotAccuracy(['a', 'b', 'c', 'd'], ['{}'], topk=(1, 2))


def test_share_of_true_classes_in_percent(metric):
    metric.attach(Model())
    metric.process(None, samples([0, 1, 2, 3], [0, 1, 2, 0]))
    assert metric.evaluate(4) == {'zero_shot/top1': 75.0, 'zero_shot/top2': 100.0}


def test_rank_counts_nearer_classes_and_nan():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5], [torch.nan, torch.nan, torch.nan]])
    assert ranks(scores, torch.tensor([2, 1, 0])).tolist() == [1, 0, 2]


def test_each_evaluation_embeds_the_classes_again(metric):
    model, evaluator = Model(), SimpleNamespace(metrics=[metric])
    runner = SimpleNamespace(model=model, val_evaluator=evaluator, test_evaluator=evaluator)
    for before in (ZeroShotHook().before_val, ZeroShotHook().before_test):
        before(runner)
        metric.process(None, samples([0, 1], [0, 1]))
        found = metric.evaluate(2)
        assert found['zero_shot/top1'] == (100.0 if model.turn == 0 else 0.0)
        model.turn = 1


def test_samples_without_a_label_are_passed_over(metric):
    metric.attach(Model())
    metric.process(None, [*samples([0], [0]), {'image_features': torch.ones(4)}])
    assert metric.evaluate(1)['zero_shot/top1'] == 100.0


def test_metric_without_the_hook_says_so(metric):
    with pytest.raises(ValueError, match='ZeroShotHook'):
        metric.process(None, samples([0], [0]))


def test_classes_are_those_of_the_data_set_where_none_are_given():
    metric = ZeroShotAccuracy(templates=['{}'])
    metric.dataset_meta = {'classes': ['a', 'b', 'c', 'd']}
    metric.attach(Model())
    metric.process(None, samples([0, 1], [0, 2]))
    assert metric.evaluate(2) == {'zero_shot/top1': 50.0}


@pytest.mark.parametrize('meta', [None, {}])
def test_data_set_without_classes_is_refused(meta):
    metric = ZeroShotAccuracy()
    metric.dataset_meta = meta
    metric.attach(Model())
    with pytest.raises(ValueError, match='the data set has no classes'):
        metric.process(None, samples([0], [0]))


def test_one_class_is_refused():
    with pytest.raises(ValueError, match='classes: expected at least 2, got 1'):
        ZeroShotAccuracy(['a'])


def test_no_label_at_all_is_refused(metric):
    with pytest.raises(ValueError, match='expected samples with gt_label'):
        metric.compute_metrics([])
