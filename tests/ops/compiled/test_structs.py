import ctypes

import pytest

from mmdefocus.ops import available_backends
from mmdefocus.ops.compiled import structs
from mmdefocus.ops.compiled.build import load_library

MIRRORS = [
    value
    for value in vars(structs).values()
    if isinstance(value, type) and issubclass(value, ctypes.Structure)
]


@pytest.mark.skipif(
    available_backends('cpu')['selective_scan']['cpu'] != 'available', reason='no compiler'
)
@pytest.mark.parametrize('mirror', MIRRORS, ids=lambda mirror: mirror.__name__)
def test_sizes_and_offsets_are_those_that_the_compiler_chose(mirror):
    report = getattr(load_library(), f'layout_of_{mirror.__name__}')
    numbers = (ctypes.c_int64 * 32)()
    compiled = numbers[: report(numbers)]
    offsets = [getattr(mirror, name).offset for name, _ in mirror._fields_]
    assert compiled == [ctypes.sizeof(mirror), *offsets]


def test_every_structure_is_compared():
    assert {mirror.__name__ for mirror in MIRRORS} == {'Tasks', 'Sizes', 'StridedTensor'}
