import pytest
import torch

NAME = 'backbone.patch_embed.projection.weight'


def run(load_tool, tmp_path, weights):
    torch.save({'state_dict': weights, 'meta': {}, 'optimizer': {}}, tmp_path / 'src.pth')
    main = load_tool('model_converters/resize_patches').main
    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--patch-size', '8'])


def test_writes_a_checkpoint_for_the_new_patches(load_tool, tmp_path):
    run(load_tool, tmp_path, {NAME: torch.randn(5, 3, 4, 4)})
    found = torch.load(tmp_path / 'dst.pth', weights_only=True)
    assert found['state_dict'][NAME].shape == (5, 3, 8, 8)


def test_a_checkpoint_without_patches_is_one_line(load_tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(load_tool, tmp_path, {'backbone.cls_token': torch.randn(1, 1, 4)})
    (line,) = capsys.readouterr().err.splitlines()
    assert 'src.pth: patch size: expected one' in line
    assert not (tmp_path / 'dst.pth').exists()
