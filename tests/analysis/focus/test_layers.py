import torch

from mmdefocus.analysis.focus.layers import layer_inputs, on_grid


def test_section_order_is_undone_and_padding_left_out(backbone):
    model = backbone('DefocusMamba', token_order='sections', pretrain_img_size=16)
    shape = (20, 40)  # 3 x 5 patches, padded to 4 x 6
    places = torch.arange(24.0).reshape(1, 1, 4, 6)
    sequence = model.order.to_sequence(places)[..., 0]
    assert torch.equal(on_grid(model, sequence, shape)[0], places[0, 0, :3, :5])


def test_a_map_of_queries_keeps_them(backbone):
    found = on_grid(backbone('DefocusMamba'), torch.rand(2, 16, 16), (32, 32))
    assert found.shape == (2, 16, 4, 4)


def test_what_a_layer_reads_is_what_the_layer_before_it_writes(any_backbone, images):
    any_backbone.eval()
    blocks = getattr(any_backbone, 'blocks', None) or any_backbone.layers
    first, second = (layer_inputs(any_backbone, images, layer) for layer in (1, 2))
    torch.testing.assert_close(blocks[0](first), second)
