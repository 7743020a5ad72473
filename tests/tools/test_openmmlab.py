import pytest


def test_a_tool_of_mmpretrain_reads_our_configs(workshop, capfd):
    workshop.run('openmmlab', 'mmpretrain', 'print_config', workshop.config())
    assert "type='DefocusMamba'" in capfd.readouterr().out


@pytest.mark.parametrize('package', ['mmdet', 'mmpretrain'])
def test_all_tools_are_listed(workshop, capfd, package):
    workshop.run('openmmlab', package)
    names = capfd.readouterr().out.split()
    assert {'analyze_logs', 'analyze_results', 'browse_dataset', 'confusion_matrix'} <= set(names)


def test_an_unknown_tool_ends_in_one_line(workshop):
    found = workshop.error('openmmlab', 'mmdet', 'nothing')
    assert found.startswith('TOOL: expected one of analyze_logs, ') and found.endswith('nothing')
