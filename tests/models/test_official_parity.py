"""Our models with released weights compute what the released models compute."""

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import load_checkpoint
from mmpretrain.structures import DataSample

from mmdefocus.models import DefocusMamba, SimpleFPN

CLASSIFIERS = ('cls_rope', 'cls_norope', 'cls_change_res_mlp_head')
DETECTORS = ('det_raster', 'det_zscan')


def arch_of(meta):
    mamba = meta.get('mamba', meta)
    return {
        'embed_dims': meta['embed_dims'],
        'depth': meta['depth'],
        'intermediate_size': mamba['intermediate_size'],
        'time_step_rank': mamba['time_step_rank'],
    }


def build_classifier(meta, aux_target):
    change_resolution = meta.get('patch_embed_change_res', False)
    return MODELS.build(
        {
            'type': 'mmpretrain.ImageClassifier',
            'backbone': {
                'type': 'DefocusMamba',
                'arch': arch_of(meta),
                'img_size': meta['img_size'],
                'patch_size': meta['patch_size'],
                # twice the resolution of pre-training, of which r and r² follow
                'pretrain_img_size': meta['img_size'] // 2 if change_resolution else None,
                'token_order': 'sections' if change_resolution else 'raster',
                'rope': 'learnable' if meta.get('use_rope', True) else 'none',
                'out_type': 'cls_and_tokens',
            },
            'head': {
                'type': 'DefocusClsHead',
                'num_classes': meta['num_classes'],
                'in_channels': meta['embed_dims'],
                'hidden_channels': 3 * meta['embed_dims'] if change_resolution else None,
                'aux_target': aux_target,
            },
        }
    )


@pytest.fixture
def classifier(golden, convert, tmp_path):
    """Builds a classifier and loads released weights through the converter."""

    def build(name, aux_target='pooled'):
        reference = golden(name)
        released, converted = tmp_path / 'released.pth', tmp_path / 'converted.pth'
        torch.save({'model': reference.part('state_dict/')}, released)
        convert([str(released), str(converted), '--kind', 'classifier'])
        model = build_classifier(reference.meta, aux_target)
        load_checkpoint(model, str(converted), strict=True)
        return model, reference

    return build


def samples_of(reference):
    return [DataSample().set_gt_label(label) for label in reference['target']]


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_tokens_and_logits(name, classifier, assert_same):
    model, reference = classifier(name)
    outputs = []
    for block in model.backbone.blocks:
        block.register_forward_hook(lambda _module, _input, output: outputs.append(output))
    feats = model.extract_feat(reference['image'])
    assert_same(outputs[0], reference['block_0'], 'block_0')
    assert_same(outputs[-1], reference['block_last'], 'block_last')
    assert_same(model.head(feats), reference['logits_cls'], 'logits_cls')
    model.head.aux_target = 'tokens'  # the released logits are averaged after classifying
    logits = model.head.forward_aux(feats).mean(1)
    assert_same(logits, reference['logits_tokens_mean'], 'logits_tokens_mean')


@pytest.mark.parametrize('name', CLASSIFIERS)
@pytest.mark.parametrize(
    ('aux_target', 'key'), [('pooled', 'loss_aux_avg'), ('tokens', 'loss_aux_token')]
)
def test_losses(name, aux_target, key, classifier, assert_same):
    model, reference = classifier(name, aux_target)
    losses = model.loss(reference['image'], samples_of(reference))
    assert_same(losses['loss_cls'], reference['loss_cls'], 'loss_cls')
    assert_same(losses['loss_aux'], reference[key], key)


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_gradients(name, classifier, assert_same):
    model, reference = classifier(name)
    losses = model.loss(reference['image'], samples_of(reference))
    (losses['loss_cls'] + losses['loss_aux']).backward()
    gradients = {key: p.grad for key, p in model.named_parameters()}
    translate = {
        'mixer.A_log': 'mixer.decay.A_log',
        'mixer.freq': 'mixer.rope.freq',
        'patch_embed.proj.': 'patch_embed.projection.',
    }
    expected = reference.part('grad/')
    assert len(expected) > 20
    for released, value in expected.items():
        key = released
        for old, new in translate.items():
            key = key.replace(old, new)
        if key.startswith('head2.'):
            key = key.replace('head2.', 'head.aux_fc.')
        elif key.startswith('head.'):
            key = key.replace('head.', 'head.fc.')
        else:
            key = f'backbone.{key}'
        assert_same(gradients[key], value, released)


@pytest.mark.parametrize('name', DETECTORS)
def test_feature_map_and_pyramid(name, golden, convert, tmp_path, assert_same):
    reference = golden(name)
    meta = reference.meta
    released, converted = tmp_path / 'released.pth', tmp_path / 'converted.pth'
    weights = {f'backbone.{k}': v for k, v in reference.part('backbone/').items()}
    weights |= {f'neck.{k}': v for k, v in reference.part('neck/').items()}
    torch.save({'state_dict': weights}, released)
    convert([str(released), str(converted), '--kind', 'detector'])

    backbone = DefocusMamba(
        arch_of(meta),
        img_size=meta['input_hw'],
        patch_size=meta['patch_size'],
        pretrain_img_size=meta['pretrain_img_size'],
        token_order='sections' if meta['z_order'] else 'raster',
        rope_scale=meta['rope_scale_factor'],
        delta_scale=meta['delta_scale_factor'],
        out_type='featmap',
        final_norm_eps=meta['final_layer_norm_eps'],
    )
    neck = SimpleFPN(in_channels=meta['embed_dims'], out_channels=32)
    model = torch.nn.ModuleDict({'backbone': backbone, 'neck': neck})
    load_checkpoint(model, str(converted), strict=True)

    featmap = backbone(reference['image'])
    assert_same(featmap[0], reference['featmap'], 'featmap')
    levels = neck(featmap)
    for index, level in enumerate(levels):
        assert_same(level, reference[f'pyramid_{index}'], f'pyramid_{index}')
    assert len(levels) == 4
