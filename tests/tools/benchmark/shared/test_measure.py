from rich.progress import Progress

from shared.measure import interleave


def test_candidates_take_turns():
    turns = []

    def repetition(name):
        turns.append(name)
        return {'step': float(len(turns))}

    seconds = interleave(
        {'A': lambda: repetition('A'), 'B': lambda: repetition('B')}, 2, 60, Progress(disable=True)
    )
    assert turns == ['A', 'B'] * 2
    assert seconds == {'A': {'step': [1.0, 3.0]}, 'B': {'step': [2.0, 4.0]}}


def test_candidate_over_its_budget_is_measured_once():
    samples = interleave({'A': lambda: {'step': 1.0}}, 5, 0, Progress(disable=True))
    assert samples == {'A': {'step': [1.0]}}
