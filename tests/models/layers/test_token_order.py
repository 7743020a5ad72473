import pytest
import torch

from mmdefocus.models.layers import RasterOrder, SectionOrder

ORDERS = [RasterOrder(), SectionOrder(1), SectionOrder(2), SectionOrder(6)]


@pytest.mark.parametrize('order', ORDERS, ids=['raster', 'one', 'two', 'six'])
@pytest.mark.parametrize('size', [(6, 6), (6, 12), (18, 12)])
def test_to_grid_undoes_to_sequence(order, size):
    grid = torch.randn(2, 3, *size)
    assert torch.equal(order.to_grid(order.to_sequence(grid), *size), grid)


def test_sections_are_read_one_after_the_other():
    """Fig. 7: a map of 4 x 4 made of sections of 2 x 2."""
    grid = torch.arange(16).reshape(1, 1, 4, 4)
    sequence = SectionOrder(2).to_sequence(grid).flatten().tolist()
    assert sequence == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]


def test_one_section_is_raster():
    grid = torch.randn(1, 2, 5, 5)
    assert torch.equal(SectionOrder(5).to_sequence(grid), RasterOrder().to_sequence(grid))
