"""A short form of `soak.py`; docs/reliability.md has the long one."""

from soak import soak


def test_a_training_opens_no_more_and_more_files(tmp_path):
    """Memory takes longer to settle than a test may last; see the long form."""
    notes = soak(40, tmp_path)
    steps, memory, files = zip(*notes, strict=True)
    assert steps == tuple(range(2, 41, 2))
    assert max(files[10:]) <= max(files[:10])
    assert memory[-1] - memory[10] < 100 * 2**20
