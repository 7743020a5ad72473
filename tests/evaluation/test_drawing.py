import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

from mmdefocus.evaluation.drawing import draw_boxes, draw_class, picture_name, resized


@pytest.mark.parametrize(
    ('size', 'smallest', 'expected'),
    [
        ((16, 32), 224, (224, 448)),
        ((300, 400), 224, (300, 400)),
        ((1, 3000), 224, (1, 4096)),
        ((1, 400_000), 1, (1, 4096)),
        ((9000, 6000), 1, (4096, 2731)),
    ],
)
def test_pictures_are_bounded(size, smallest, expected):
    image = np.zeros((*size, 3), np.uint8)
    assert resized(image, smallest).shape[:2] == expected


def test_a_picture_of_a_thin_image_is_small(tmp_path):
    sample = DataSample().set_pred_label(0)
    draw_class(np.zeros((1, 6000, 3), np.uint8), sample, ('a',), tmp_path / 'thin.png')
    assert max(cv2.imread(str(tmp_path / 'thin.png')).shape) <= 4100


def test_boxes_are_drawn_where_they_are_in_a_smaller_picture(tmp_path):
    boxes = torch.tensor([[4096.0, 100.0, 8000.0, 700.0]])
    found = InstanceData(bboxes=boxes, scores=torch.ones(1), labels=torch.zeros(1, dtype=int))
    sample = DetDataSample(pred_instances=found)
    path = tmp_path / 'wide.png'
    draw_boxes(np.zeros((800, 8192, 3), np.uint8), sample, ('a',), path, 0.3)
    picture = cv2.imread(str(path)).sum(2)
    assert picture.shape[1] == pytest.approx(4096, abs=4)
    assert picture[:, :2000].sum() == 0
    assert picture[:, 2040:2060].sum() > 0
    assert torch.equal(sample.pred_instances.bboxes, boxes)


@pytest.mark.parametrize(
    ('name', 'expected'), [('a.jpg', 'a.jpg'), ('a.gif', 'a.gif.png'), ('a', 'a.png')]
)
def test_a_format_that_is_not_written_becomes_png(name, expected):
    assert picture_name(name) == expected
