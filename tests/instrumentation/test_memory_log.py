"""Readings of this process's memory, one before each batch."""

from __future__ import annotations

import mmap

from beambench.instrumentation.memory_log import MAX_READINGS, PAGE_BYTES, MemoryLog


def test_readings_hold_batches_and_elements_so_far(tmp_path):
    statm = tmp_path / "statm"
    log = MemoryLog(statm)
    for size, pages in ((10, 100), (20, 150), (5, 150)):
        statm.write_text(f"9000 {pages} 30 1 0 80 0\n")
        log.before_batch(size)
    assert log.readings == [
        (0, 0, 10, 100 * PAGE_BYTES),
        (1, 10, 20, 150 * PAGE_BYTES),
        (2, 30, 5, 150 * PAGE_BYTES),
    ]
    log.clear()
    log.before_batch(1)
    assert [reading[:3] for reading in log.readings] == [(0, 0, 1)]


def test_many_batches_are_thinned_out_evenly(tmp_path):
    statm = tmp_path / "statm"
    statm.write_text("9000 100 30 1 0 80 0\n")
    log = MemoryLog(statm)
    for _ in range(10 * MAX_READINGS):
        log.before_batch(1)
    numbers = [reading.batches for reading in log.readings]
    assert numbers == list(range(0, 10 * MAX_READINGS, 16))


def test_a_system_without_proc_has_no_readings(tmp_path):
    log = MemoryLog(tmp_path / "gone")
    log.before_batch(10)
    assert log.readings == []


def test_memory_that_is_kept_is_seen():
    log, pages = MemoryLog(), []
    for _ in range(3):
        log.before_batch(1)
        pages.append(mmap.mmap(-1, 20_000_000))  # new pages, whatever the allocator has left
        pages[-1].write(b"x" * 20_000_000)
    assert log.readings[2].rss - log.readings[0].rss > 30_000_000
