"""The COCO metric of the configs gives the numbers of pycocotools.

EXPECTED was computed once by pycocotools 2.0.11 alone: `COCOeval(truth, truth.loadRes(results),
'bbox')` with `evaluate`, `accumulate` and `summarize` on TRUTH and FOUND as they stand here; it is
the beginning of `stats`, rounded to three digits as mmdet does.
"""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import METRICS, DefaultScope

CONFIG = Path(__file__).parents[2] / 'configs/coco/dino-4scale_defocus-mamba-base_8xb2-12e_coco.py'
CLASSES = {1: 'cat', 2: 'dog'}
BOXES = [  # image, category, (x, y, width, height), crowd
    (1, 1, (10, 10, 20, 20), 0),
    (1, 2, (50, 40, 60, 50), 0),
    (1, 2, (100, 100, 120, 110), 0),
    (2, 1, (30, 20, 100, 90), 0),
    (2, 1, (140, 20, 40, 30), 1),
    (3, 2, (5, 5, 25, 30), 0),
]
FOUND = [  # image, category, (x, y, width, height), score
    (1, 1, (11, 10, 20, 20), 0.9),
    (1, 1, (60, 60, 20, 20), 0.8),
    (1, 2, (52, 44, 60, 50), 0.7),
    (1, 2, (110, 90, 120, 110), 0.6),
    (1, 2, (50, 42, 58, 50), 0.5),
    (2, 1, (30, 30, 100, 80), 0.95),
    (2, 1, (140, 22, 38, 28), 0.4),
    (3, 1, (5, 5, 25, 30), 0.3),
    (3, 2, (6, 9, 25, 30), 0.2),
]
TRUTH = {
    'images': [
        {'id': i, 'file_name': f'{i}.jpg', 'height': 240, 'width': 320} for i in range(1, 5)
    ],
    'categories': [{'id': number, 'name': name} for number, name in CLASSES.items()],
    'annotations': [
        {
            'id': number,
            'image_id': image,
            'category_id': category,
            'bbox': list(box),
            'area': box[2] * box[3],
            'iscrowd': crowd,
        }
        for number, (image, category, box, crowd) in enumerate(BOXES, start=1)
    ],
}
EXPECTED = {
    'mAP': 0.681,
    'mAP_50': 0.958,
    'mAP_75': 0.668,
    'mAP_s': 0.7,
    'mAP_m': 0.775,
    'mAP_l': 0.5,
}


def test_metric_of_the_config_equals_pycocotools(tmp_path):
    (tmp_path / 'truth.json').write_text(json.dumps(TRUTH))
    with DefaultScope.overwrite_default_scope('mmdet'):
        cfg = Config.fromfile(CONFIG).test_evaluator
        metric = METRICS.build(dict(cfg, ann_file=str(tmp_path / 'truth.json')))
    metric.dataset_meta = {'classes': tuple(CLASSES.values())}
    samples = []
    for image in TRUTH['images']:
        rows = [row for row in FOUND if row[0] == image['id']]
        boxes = torch.tensor([row[2] for row in rows], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # as a detector gives them: corners
        samples.append(
            {
                'img_id': image['id'],
                'ori_shape': (image['height'], image['width']),
                'pred_instances': {
                    'bboxes': boxes,
                    'scores': torch.tensor([row[3] for row in rows]),
                    'labels': torch.tensor([row[1] - 1 for row in rows], dtype=torch.long),
                },
            }
        )
    metric.process({}, samples)
    found = metric.evaluate(len(samples))
    assert found == pytest.approx({f'coco/bbox_{name}': x for name, x in EXPECTED.items()}, abs=0)
