import mmengine
import pytest
import torch


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


def test_a_tool_reads_predictions(workshop, tmp_path, capfd):
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    samples = [
        {'pred_score': score, 'gt_label': torch.tensor([label])}
        for score, label in zip(scores, (1, 0, 0), strict=True)
    ]
    mmengine.dump(samples, tmp_path / 'predictions.pkl')
    arguments = (str(tmp_path / 'predictions.pkl'), '--metric', 'type=Accuracy', 'topk=1')
    workshop.run('openmmlab', 'mmpretrain', 'eval_metric', *arguments)
    assert "{'accuracy/top1': 66.66" in capfd.readouterr().out
