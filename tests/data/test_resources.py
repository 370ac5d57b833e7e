from diptych.data.resources import free_bytes, workers


def test_this_machine_has_something_to_spare():
    assert free_bytes() > 1 << 20
    assert 1 <= workers() <= 16
