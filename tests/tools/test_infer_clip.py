"""The commands of CLIP, on a tiny model that is trained here for an epoch."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmdefocus.apis import Inferencer

pytest.importorskip('open_clip')
ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'
CONFIG = f"""
_base_ = '{ROOT}/configs/clip/defocus-mamba-digits.py'
model = dict(
    vision_backbone=dict(
        arch=dict(embed_dims=16, depth=1, intermediate_size=32, time_step_rank=4,
                  group_norm_size=16),
    ),
    text_encoder=dict(width=32, num_heads=2, depth=1),
    embed_dims=16,
)
train_cfg = dict(max_epochs=1)
param_scheduler = []
train_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dict(data_root='DATA', shards='train-0000.tar')
)
val_dataloader = dict(dataset=dict(data_root='DATA'))
test_dataloader = dict(dataset=dict(data_root='DATA'))
"""


@pytest.fixture(scope='module')
def clip(tmp_path_factory, load_tool) -> SimpleNamespace:
    """A folder with `config`, `checkpoint` and an `image`."""
    folder = tmp_path_factory.mktemp('clip')
    data, config = folder / 'data', folder / 'tiny_clip.py'
    load_tool('dataset_converters/captioned_digits').main(
        ['--out', str(data), '--num-train', '12', '--num-val', '8']
    )
    config.write_text(CONFIG.replace('DATA', str(data)))
    load_tool('train').main([str(config), '--work-dir', str(folder)])
    return SimpleNamespace(
        load_tool=load_tool,
        folder=folder,
        config=str(config),
        checkpoint=str(folder / 'epoch_1.pth'),
        image=str(data / 'val' / '00000.png'),
    )


def infer(clip, *labels, **changes):
    given = {**vars(clip), **changes}
    arguments = [given['image'], given['config'], given['checkpoint'], '--device', 'cpu']
    clip.load_tool('infer_clip').main([*arguments, '--labels', *labels])


def test_all_labels_have_a_probability_the_best_first(clip, capsys):
    infer(clip, 'a digit three', 'a seven', 'nothing')
    written = capsys.readouterr()
    rows = json.loads(written.out)['labels']
    scores = [row['score'] for row in rows]
    assert {row['label'] for row in rows} == {'a digit three', 'a seven', 'nothing'}
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1)
    assert 'a digit three' in written.err and f'{100 * scores[0]:.2f} %' in written.err


def test_the_inferencer_gives_the_same_probabilities(clip, capsys):
    labels = ('a digit three', 'a seven')
    infer(clip, *labels)
    rows = json.loads(capsys.readouterr().out)['labels']
    inferencer = Inferencer(clip.config, clip.checkpoint, 'cpu', labels=labels)
    (found,) = inferencer(clip.image, out_dir=clip.folder / 'pictures')
    assert found['labels'] == rows
    assert (clip.folder / 'pictures' / '00000.png').is_file()


@pytest.mark.parametrize(
    ('labels', 'changes', 'message'),
    [
        (['a three'], {}, 'labels: expected at least two'),
        (['a three', 'a three'], {}, 'labels: expected at least two'),
        (['a three', ' '], {}, 'labels: expected some text'),
        (['a three', 'seven ' * 20], {}, 'expected at most 14 tokens, got 20'),
        (['a', 'b'], {'image': 'no.png'}, 'no.png: no such image'),
        (['a', 'b'], {'image': __file__}, 'not a whole image'),
        (['a', 'b'], {'checkpoint': 'no.pth'}, 'no.pth'),
    ],
)
def test_bad_input_ends_in_one_line(clip, capsys, labels, changes, message):
    with pytest.raises(SystemExit) as stop:
        infer(clip, *labels, **changes)
    assert stop.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if 'error: ' in line]
    assert message in line


def test_config_of_another_model_is_refused(clip, capsys):
    with pytest.raises(SystemExit):
        infer(clip, 'a', 'b', config=str(ROOT / 'configs/digits/defocus-mamba-digits_cls.py'))
    assert 'expected a DefocusCLIP, got ImageClassifier' in capsys.readouterr().err


def test_test_reports_zero_shot_accuracy_and_recall(clip):
    out = clip.folder / 'metrics.json'
    clip.load_tool('test').main(
        [clip.config, clip.checkpoint, '--work-dir', str(clip.folder), '--out', str(out)]
    )
    metrics = json.loads(out.read_text())
    assert set(metrics) == {'zero_shot/top1'} | {
        f'retrieval/{way}@{k}' for way in ('image_to_text', 'text_to_image') for k in (1, 5, 10)
    }
    assert metrics['retrieval/image_to_text@10'] == 100.0  # of eight captions


def test_training_begins_in_one_line_where_a_shard_is_missing(clip, capsys):
    with pytest.raises(SystemExit) as stop:
        clip.load_tool('train').main(
            [
                *(clip.config, '--work-dir', str(clip.folder / 'other'), '--cfg-options'),
                'train_dataloader.dataset.shards=train-0007.tar',
            ]
        )
    assert stop.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if 'error: ' in line]
    assert 'train-0007.tar: no such shard' in line


def test_an_image_is_not_replaced_by_the_json(workshop):
    (workshop.data / 'dark' / '0.png').rename('image.json')
    found = workshop.error(
        *('infer_clip', 'image.json', 'config.py', 'weights.pth', '--labels', 'a', 'b'),
        *('--out', 'image.json'),
    )
    assert found.startswith('--out: image.json is read, and would be replaced')
