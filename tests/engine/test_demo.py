from itertools import pairwise

import pytest

from mmdefocus.engine import demo

# writes when it began and ended
RECORD = """
import sys, time
with open(sys.argv[1], 'w') as file:
    print(time.monotonic(), file=file)
    time.sleep(0.3)
    print(time.monotonic(), file=file)
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / 'record.py'
    path.write_text(RECORD)
    return str(path)


def commands(script, tmp_path, codes):
    return [[script, str(tmp_path / f'{i}.txt'), str(code)] for i, code in enumerate(codes)]


def spans(tmp_path):
    return [tuple(map(float, path.read_text().split())) for path in sorted(tmp_path.glob('?.txt'))]


def test_all_tools_run_at_the_same_time(script, tmp_path):
    demo.run_tools(*commands(script, tmp_path, [0, 0]))
    (first, first_end), (second, second_end) = spans(tmp_path)
    assert max(first, second) < min(first_end, second_end)


def test_no_more_run_at_a_time_than_asked_for(script, tmp_path):
    demo.run_tools(*commands(script, tmp_path, [0, 0, 0]), at_a_time=1)
    found = spans(tmp_path)
    assert len(found) == 3
    assert all(end <= start for (_, end), (start, _) in pairwise(found))


def test_a_tool_that_fails_is_named_and_those_that_wait_are_not_run(script, tmp_path):
    with pytest.raises(SystemExit, match=r'this command failed \(exit code 3\): python .*0\.txt 3'):
        demo.run_tools(*commands(script, tmp_path, [3, 0, 0]), at_a_time=1)
    assert len(spans(tmp_path)) <= 2  # the next one may have begun
