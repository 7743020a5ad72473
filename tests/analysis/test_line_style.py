from mmdefocus.analysis.line_style import line_style


def test_twelve_lines_differ_in_grey():
    markers = {line_style(index)['marker'] for index in range(12)}
    assert len(markers) == 12


def test_a_colour_that_comes_again_has_other_dashes():
    styles = [(line_style(index)['color'], line_style(index)['linestyle']) for index in range(28)]
    assert len(set(styles)) == 28
