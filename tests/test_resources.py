from diptych.resources import free_memory_bytes, worker_count


def test_this_machine_has_free_memory_and_workers():
    assert free_memory_bytes() > 1 << 20
    assert 1 <= worker_count() <= 16
