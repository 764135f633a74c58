"""A million spans: ten seconds for all formats, and memory that does not grow with the text."""

import time
import tracemalloc

import numpy as np
import pytest

from reports import folder
from reports.export import chrome, jaeger, logs, otlp
from reports.export.sampling import Sampling
from tests.reports.export_runs import everything, repeated, shop

MILLION = 1_000_000


@pytest.mark.validate
def test_a_million_spans_are_exported_in_ten_seconds(tmp_path):
    """The whole folder as a run writes it: every span in the tables and the metrics, a sample in the traces and the logs.

    Measured in this process's own time: other tests may run beside it.
    """
    run = repeated(shop(), -(-MILLION // len(shop().spans)))
    began = time.process_time()
    folder.write(run, tmp_path / "run", sampling=Sampling(limit=50_000))
    assert time.process_time() - began < 10
    assert len(np.load(tmp_path / "run/spans.npz")["id"]) == len(run.spans) >= MILLION


@pytest.mark.validate
def test_a_million_spans_are_written_as_traces_in_ten_seconds(tmp_path):
    """All of them, as OTLP."""
    traces = everything(repeated(shop(), -(-MILLION // len(shop().spans))))
    began = time.process_time()
    with (tmp_path / "traces.otlp.jsonl").open("w") as file:
        file.writelines(otlp.lines(traces))
    assert time.process_time() - began < 10


@pytest.mark.validate
def test_memory_does_not_grow_with_the_file():
    """Three times the traces take the same memory for text: a chunk of it is held at a time. Beyond that a few bytes a span."""
    for format_ in (otlp, jaeger, chrome, logs):
        small, large = (_peak(format_, turns) for turns in (500, 1500))
        assert (large - small) / (1000 * len(shop().spans)) < 100, format_.__name__


def _peak(format_, turns):
    traces = everything(repeated(shop(), turns))
    tracemalloc.start()
    for _ in format_.lines(traces):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
