from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.torch_version import TorchVersion

pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
onnxruntime = pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.compiler

TOOL = 'deployment/export_onnx'
FAMILIES = {
    'DefocusMamba': {},
    'DefocusMamba2': dict(intermediate_size=32, state_size=4, head_size=16),
    'DefocusRetNet': dict(num_heads=2, value_channels=32, feedforward_channels=24),
    'DefocusViT': dict(num_heads=2, feedforward_channels=24),
}


def run_onnx(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (found,) = session.run(None, {'images': images})
    return found


def save_classifier(config):
    """Writes random weights for the classifier of a config; returns the model."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(config).model).eval()
    torch.save(dict(state_dict=model.state_dict()), 'weights.pth')
    return model


@pytest.mark.parametrize('family', FAMILIES)
def test_classifier_of_each_family_gives_its_logits_at_two_sizes_for_any_batch(workshop, family):
    arch = dict(embed_dims=16, depth=2, **FAMILIES[family])
    change = f"model['backbone'].update(type='{family}', arch={arch})" if len(arch) > 2 else ''
    config = workshop.config(change)
    model = save_classifier(config)
    for height, width in ((16, 16), (24, 40)):
        workshop.run(TOOL, config, 'weights.pth', 'model.onnx', '--shape', height, width)
        for batch_size in (1, 5):
            shape = (batch_size, 3, height, width)
            images = np.random.default_rng(1).standard_normal(shape, np.float32)
            with torch.inference_mode():
                expected = model(torch.from_numpy(images)).numpy()
            np.testing.assert_allclose(run_onnx('model.onnx', images), expected, rtol=0, atol=1e-5)


def test_detector_gives_the_map_of_its_backbone(workshop, detector):
    for height, width in ((32, 32), (40, 72)):
        options = ('--shape', height, width)
        workshop.run(TOOL, detector.config, detector.checkpoint, 'map.onnx', *options)
        for batch_size in (1, 4):
            images = np.zeros((batch_size, 3, height, width), np.float32)
            shape = (batch_size, 16, height // 8, width // 8)
            assert run_onnx('map.onnx', images).shape == shape


def test_file_that_differs_from_the_model_is_not_passed_over(workshop, trained, monkeypatch):
    from mmdefocus import ops

    exportable = ops.exportable

    @contextmanager
    def other_program():
        with exportable(), ops.replaced({'selective_scan': lambda u, *others: 2 * u}):
            yield

    monkeypatch.setattr(ops, 'exportable', other_program)
    found = workshop.error(TOOL, workshop.config(), trained, 'a.onnx', '--shape', 16, 16)
    assert found.startswith('a.onnx: onnxruntime differs from torch by ')


def test_what_cannot_work_is_said_before_any_work(workshop, trained, monkeypatch):
    config, square = workshop.config(), ('--shape', 16, 16)
    resnet = workshop.config("model['backbone'] = dict(type='ResNet', depth=18)")
    for arguments, message in (
        ((config, trained, 'a.pb', *square), 'OUT: expected a name that ends in .onnx'),
        (
            (config, trained, 'a.onnx', '--shape', 0, 16),
            'expected 1 or more, got [0, 16]',
        ),
        ((resnet, trained, 'a.onnx', *square), 'DefocusViT can be exported, got ResNet'),
        ((config, 'nowhere.pth', 'a.onnx', *square), 'checkpoint nowhere.pth: no such file'),
    ):
        assert message in workshop.error(TOOL, *arguments)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    found = workshop.error(TOOL, config, trained, 'a.onnx', *square)
    assert found == 'not installed: pip install onnx onnxscript onnxruntime'
    monkeypatch.undo()
    monkeypatch.setattr('torch.__version__', TorchVersion('2.8.0'))
    found = workshop.error(TOOL, config, trained, 'a.onnx', *square)
    assert found == 'torch 2.11 or newer is needed to export, this is 2.8.0'
    assert not list(workshop.path.glob('*.onnx'))


def test_a_config_of_classes_may_be_exported(load_tool):
    from mmengine.config import Config

    from mmdefocus.models import DefocusMamba

    backbone = dict(type=DefocusMamba, out_type='cls_and_tokens')
    cfg = Config(dict(default_scope='mmpretrain', model=dict(backbone=backbone)))
    load_tool(TOOL).check_config(cfg)
