"""Who supplies `mmcv._ext`, in processes of their own, for a module is imported once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAND_IN = """
import sys
from importlib.machinery import ModuleSpec, PathFinder
bare = PathFinder.find_spec
def find_spec(name, path=None, target=None):  # an mmcv without operators
    return None if name == 'mmcv._ext' else bare(name, path, target)
PathFinder.find_spec = find_spec
"""


def run(code):
    """Runs Python code from the root of the repository; returns what it prints."""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_mmdefocus_pays_nothing():
    code = "import sys, mmdefocus; print(*(n for n in ('torch', 'mmcv') if n in sys.modules))"
    assert run(code) == []


def test_import_of_another_missing_module_fails_as_ever():
    code = 'import mmdefocus\ntry: import mmcv_of_nowhere\nexcept ImportError as e: print(e.name)'
    assert run(code) == ['mmcv_of_nowhere']


def test_finder_is_registered_once():
    code = (
        'import sys, mmdefocus; from mmdefocus.mmcv_ext.importer import ExtensionFinder, register;'
        'register(); print(sum(isinstance(f, ExtensionFinder) for f in sys.meta_path))'
    )
    assert run(code) == ['1']


def test_mmcv_without_operators_gets_ours():
    code = STAND_IN + 'import mmdefocus, mmcv._ext; print(mmcv._ext.__file__)'
    assert run(code) == [str(ROOT / 'mmdefocus/mmcv_ext/extension.py')]


def test_mmcv_with_operators_keeps_its_own(tmp_path):
    package = tmp_path / 'mmcv'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / '_ext.py').touch()
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
    code += 'import mmdefocus, mmcv._ext; print(mmcv._ext.__file__)'
    assert run(code) == [str(package / '_ext.py')]


def test_mmpretrain_imports():
    assert run(STAND_IN + 'import mmdefocus, mmpretrain.apis; print(1)')[-1] == '1'


def test_inferencer_of_mmdet_finds_boxes_after_import_mmdefocus(tmp_path):
    config = """
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='BN')),
    neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=16, num_outs=5),
    bbox_head=dict(
        type='RetinaHead', num_classes=80, in_channels=16, stacked_convs=1, feat_channels=16,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0], strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss'), loss_bbox=dict(type='L1Loss')),
    test_cfg=dict(nms_pre=100, score_thr=0, nms=dict(type='nms', iou_threshold=0.5),
                  max_per_img=10))
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64)),
                 dict(type='PackDetInputs', meta_keys=('ori_shape', 'img_shape', 'scale_factor'))]
test_dataloader = dict(dataset=dict(type='CocoDataset', pipeline=test_pipeline))
visualizer = dict(type='DetLocalVisualizer')
"""
    (tmp_path / 'detector.py').write_text(config)
    code = (
        STAND_IN
        + f"""
import mmdefocus, numpy
from mmdet.apis import DetInferencer
inferencer = DetInferencer({str(tmp_path / 'detector.py')!r}, device='cpu', show_progress=False)
image = numpy.zeros((48, 64, 3), numpy.uint8)
found = inferencer(image, no_save_vis=True)['predictions'][0]
print(len(found['bboxes']))
"""
    )
    assert run(code)[-1] == '10'
