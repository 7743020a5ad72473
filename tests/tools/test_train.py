import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from trainings import difference

STOP = "custom_hooks.append(dict(type='StopBeforeEpoch', epoch=2))"
WORKER = 'train_dataloader.update(num_workers=1, persistent_workers=False)\n'


@HOOKS.register_module(force=True)
class StopBeforeEpoch(Hook):
    """Breaks a training off, as a power cut would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt


def read(path):
    return torch.load(path, weights_only=False)


def snapshot(folder):
    """Returns the files in a work directory with their content; logs have folders of their own."""
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_stopped_and_resumed_training_equals_an_unbroken_one(workshop):
    workshop.run('train', workshop.config(WORKER), '--work-dir', 'whole')
    with pytest.raises(SystemExit) as stop:
        workshop.run('train', workshop.config(WORKER + STOP), '--work-dir', 'parts')
    assert stop.value.code == 130  # as a shell has it
    parts = workshop.path / 'parts'
    assert {path.name for path in parts.glob('*.pth')} == {'epoch_1.pth', 'epoch_2.pth'}
    workshop.run('train', workshop.config(WORKER), '--work-dir', 'parts', '--resume')

    whole, resumed = (read(workshop.path / name / 'epoch_4.pth') for name in ('whole', 'parts'))
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert difference(whole[part], resumed[part]) is None
    rate = 'train/drop_path_rate'
    rates = [run['message_hub']['log_scalars'][rate].current() for run in (whole, resumed)]
    assert rates == pytest.approx([0.7, 0.7])
    first = read(parts / 'epoch_2.pth')['state_dict']
    assert any(not torch.equal(first[name], value) for name, value in whole['state_dict'].items())


def test_resumes_from_a_named_checkpoint(workshop):
    config = workshop.config('train_cfg.update(max_epochs=2)')
    workshop.run('train', config, '--work-dir', 'run')
    before = (workshop.path / 'run' / 'epoch_1.pth').read_bytes()
    workshop.run('train', workshop.config(), '--work-dir', 'other', '--resume', 'run/epoch_1.pth')
    names = {path.name for path in (workshop.path / 'other').glob('*.pth')}
    assert names == {'epoch_2.pth', 'epoch_3.pth', 'epoch_4.pth'}
    assert (workshop.path / 'run' / 'epoch_1.pth').read_bytes() == before


def test_early_answers_are_trained_and_tested(workshop):
    early = (
        "model['backbone']['out_type'] = 'cls_per_strip'\nmodel['head']['early_every'] = {}\n"
        'train_cfg = dict(max_epochs=1)\n'
    )
    weights = []
    for every in (1, 2):  # of 2 strips
        config = workshop.config(early.format(every))
        workshop.run('train', config, '--work-dir', f'every-{every}')
        workshop.run('test', config, f'every-{every}/epoch_1.pth', '--out', f'{every}.json')
        assert (workshop.path / f'{every}.json').is_file()
        weights.append(read(workshop.path / f'every-{every}' / 'epoch_1.pth')['state_dict'])
    first, second = weights
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_work_dir_is_named_after_the_config(workshop):
    config = workshop.config('train_cfg.update(max_epochs=1)')
    workshop.run('train', config)
    name = config.rpartition('/')[2].removesuffix('.py')
    assert (workshop.path / 'work_dirs' / name / 'epoch_1.pth').exists()
    assert (workshop.path / 'work_dirs' / name / f'{name}.py').exists()


def test_amp_and_auto_scale_lr_change_the_training(workshop):
    options = ('--amp', '--auto-scale-lr', '--cfg-options', 'train_cfg.max_epochs=1')
    workshop.run('train', workshop.config(), '--work-dir', 'run', *options)
    saved = read(workshop.path / 'run' / 'epoch_1.pth')
    kind = 'AmpOptimWrapper' if torch.cuda.is_available() else 'BFloat16OptimWrapper'
    assert f"type='{kind}'" in saved['meta']['cfg']
    assert saved['optimizer']['param_groups'][0]['initial_lr'] == pytest.approx(5e-3)


FOREIGN = 'checkpoint foreign.pth does not fit ImageClassifier: 29 missing (backbone.cls_token'
MISSING = (
    "train_dataloader.dataset (CustomDataset): data_root 'nowhere' does not exist; to make it: "
    'python make_images.py'
)
NO_DATROOT = "CustomDataset has no argument 'datroot'; nearest: data_root"
NO_PACH_SIZE = "DefocusMamba has no argument 'pach_size'; nearest: patch_size"


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('modl.head=1', "--cfg-options modl.head: the config has no 'modl'"),
        ('model', "--cfg-options: expected KEY=VALUE, got 'model'"),
        ('model.head.type=[1,2', '--cfg-options: Imbalanced brackets'),
        ('custom_hooks.9.start=1', '--cfg-options: '),
        ('model.backbone.pach_size=8', NO_PACH_SIZE),
        ('model.backbon.patch_size=8', "ImageClassifier has no argument 'backbon'"),
        ('model.backbone.patch_size=0', 'DefocusMamba: patch_size'),
        ('model.backbone.img_size=-1', 'DefocusMamba: img_size'),
        ('train_dataloader.dataset.datroot=x', NO_DATROOT),
        ('optim_wrapper=None', "the config has no 'optim_wrapper'"),
        ('train_dataloader.dataset.data_root=nowhere', MISSING),
        ('load_from=nowhere.pth', 'checkpoint nowhere.pth: no such file'),
        ('load_from=foreign.pth', FOREIGN),
    ],
)
def test_a_bad_option_ends_in_one_line_and_loses_nothing(workshop, trained, option, message):
    # only what has been built and loaded overwrites
    refuse(workshop, trained, ('--overwrite', '--cfg-options', option), message)


@pytest.mark.parametrize(
    ('checkpoint', 'message'),
    [
        ('nowhere.pth', 'checkpoint nowhere.pth: no such file'),
        ('cut_short.pth', 'checkpoint cut_short.pth (500 bytes): cannot be read'),
        ('foreign.pth', 'checkpoint foreign.pth: cannot be resumed, it lacks'),
    ],
)
def test_a_bad_checkpoint_ends_in_one_line_and_loses_nothing(
    workshop, trained, checkpoint, message
):
    refuse(workshop, trained, ('--resume', checkpoint), message)


def refuse(workshop, trained, options, message):
    config = workshop.config()
    shutil.copy(config, trained.parent)  # a config of that name from an earlier run
    torch.save(dict(state_dict=dict(other=torch.ones(1))), 'foreign.pth')
    (workshop.path / 'cut_short.pth').write_bytes(trained.read_bytes()[:500])
    before = snapshot(trained.parent)
    found = workshop.error('train', config, '--work-dir', trained.parent, *options)
    assert message in found
    after = snapshot(trained.parent)
    assert {path: after.get(path) for path in before} == before


def test_pretrained_backbone_with_a_foreign_checkpoint_ends_in_one_line(workshop, trained):
    torch.save({f'backbone.{name}': torch.ones(1) for name in 'ab'}, 'foreign.pth')
    init = "model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='{}', prefix='{}')"
    for path, prefix, message in (
        ('foreign.pth', 'backbone.', 'does not fit DefocusMamba: '),
        (
            trained,
            'neck.',
            "holds no weight under prefix 'neck.'; its names begin with backbone, head",
        ),
        ('nowhere.pth', 'backbone.', 'checkpoint nowhere.pth: no such file'),
    ):
        assert message in workshop.error('train', workshop.config(init.format(path, prefix)))


def test_pretrained_backbone_is_loaded(workshop, trained):
    init = f"model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='{trained}', "
    extra = init + "prefix='backbone.')\noptim_wrapper['optimizer']['lr'] = 0.0"
    options = ('--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1')
    workshop.run('train', workshop.config(extra), *options)
    new, old = (
        read(path)['state_dict'] for path in (workshop.path / 'run' / 'epoch_1.pth', trained)
    )
    backbone = [name for name in old if name.startswith('backbone.')]
    assert backbone
    assert difference([new[name] for name in backbone], [old[name] for name in backbone]) is None


def test_missing_config_and_broken_config_end_in_one_line(workshop):
    assert workshop.error('train', 'nowhere.py') == 'config nowhere.py: no such file'
    (workshop.path / 'broken.py').write_text('model = dict(')
    assert workshop.error('train', 'broken.py').startswith('config broken.py: ')
    (workshop.path / 'baseless.py').write_text("_base_ = 'nowhere.py'")
    assert 'nowhere.py' in workshop.error('train', 'baseless.py')


@pytest.mark.parametrize('extra', ['', WORKER])
def test_corrupt_image_ends_in_one_line_that_names_it(workshop, extra):
    path = workshop.data / 'dark' / '1.png'
    path.write_bytes(path.read_bytes()[:-100])
    found = workshop.error('train', workshop.config(extra))
    assert found.startswith(f'{path}: not a whole image')


def test_not_a_number_in_the_loss_ends_in_one_line(workshop):
    options = ('--work-dir', 'run', '--cfg-options', 'optim_wrapper.optimizer.lr=1e30')
    found = workshop.error('train', workshop.config(), *options)
    assert 'loss' in found or 'is not finite' in found
    assert 'epoch 1' in found
    assert 'training is stopped' in found


def test_programming_errors_keep_their_traceback(workshop, monkeypatch):
    monkeypatch.setattr('mmdefocus.models.DefocusMamba.forward', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        workshop.run('train', workshop.config())


def test_averaged_weights_start_a_training_for_other_classes(workshop):
    average = "\ncustom_hooks.append(dict(type='EMAHook'))\ntrain_cfg['max_epochs'] = 1\n"
    workshop.run('train', workshop.config(average), '--work-dir', 'two')
    (workshop.data / 'third').mkdir()
    shutil.copy(workshop.data / 'dark' / '0.png', workshop.data / 'third' / '0.png')
    three = "model['head']['num_classes'] = model['data_preprocessor']['num_classes'] = 3\n"
    load = "load_from = 'two/epoch_1.pth'\n"
    workshop.run('train', workshop.config(average + three + load), '--work-dir', 'three')
    weights = torch.load('three/epoch_1.pth', weights_only=False)['state_dict']
    assert weights['head.fc.weight'].shape == (3, 16)


def test_training_looks_at_the_data_unless_it_is_told_not_to(workshop, capfd):
    short = "train_cfg['max_epochs'] = 1\n"
    workshop.run('train', workshop.config(short), '--work-dir', 'looked')
    assert 'data checked in' in capfd.readouterr().out
    workshop.run('train', workshop.config(short), '--work-dir', 'not', '--skip-data-check')
    assert 'data checked in' not in capfd.readouterr().out


NEW_STYLE = """
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import DefaultSampler
from mmengine.optim import OptimWrapper
from mmpretrain.datasets import CustomDataset, PackInputs
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import ImageClassifier
from torch.optim import AdamW

from mmdefocus.models import DefocusClsHead, DefocusMamba

default_scope = 'mmpretrain'
arch = dict(
    embed_dims=16, depth=2, intermediate_size=32, state_size=4, time_step_rank=2, group_norm_size=16
)
model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(num_classes=2),
    backbone=dict(
        type=DefocusMamba, arch=arch, img_size=16, patch_size=8, out_type='cls_and_tokens'
    ),
    head=dict(type=DefocusClsHead, num_classes=2, in_channels=16),
)
dataset = dict(
    type=CustomDataset,
    data_root='{data}',
    pipeline=[dict(type=LoadImageFromFile), dict(type=PackInputs)],
)
test_dataloader = dict(
    batch_size=3,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dataset,
)
train_dataloader = test_dataloader
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW, lr=1e-3))
test_cfg = dict()
test_evaluator = dict(type=Accuracy)
"""


def test_a_config_of_classes_trains_tests_and_infers(workshop):
    (workshop.path / 'new.py').write_text(NEW_STYLE.replace('{data}', str(workshop.data)))
    workshop.run('train', 'new.py', '--amp', '--work-dir', 'new')
    workshop.run('test', 'new.py', 'new/epoch_1.pth')
    with pytest.raises(SystemExit) as stop:
        workshop.run('infer', workshop.data / 'dark', 'new.py', 'new/epoch_1.pth', '--out', 'out')
    assert stop.value.code == 0


def test_a_misspelt_import_of_a_config_of_classes_is_one_line(workshop):
    misspelt = NEW_STYLE.replace('DefocusMamba', 'DefocusMambba')
    (workshop.path / 'misspelt.py').write_text(misspelt.replace('{data}', str(workshop.data)))
    assert 'DefocusMambba' in workshop.error('train', 'misspelt.py', '--work-dir', 'new')
