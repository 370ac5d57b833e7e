from diptych.data.resources import free_bytes, workers


def test_this_machine_has_free_memory_and_workers():
    assert free_bytes() > 1 << 20
    assert 1 <= workers() <= 16
