"""A run in the formats of other tools, one file a format, each handed to its real consumer in the tests.

    otlp.py          traces.otlp.jsonl      OpenTelemetry collector, Jaeger
    jaeger.py        traces.jaeger.json     Jaeger, Grafana
    chrome.py        timeline.chrome.json   Perfetto, speedscope, chrome://tracing
    openmetrics.py   metrics.om             `promtool tsdb create-blocks-from openmetrics`; its families are in families/
    logs.py          logs.jsonl             anything that reads JSON lines; Elastic's common schema on request
    hdr.py           latency.hgrm           HdrHistogram's plotter
    junit.py         junit.xml              CI systems
    journal.py       journal.json           Chaos Toolkit
    columns.py       *.npz                  numpy

All are written as a stream: a chunk of rows at a time, text by formatting templates, so that memory stays bounded and a
million spans take seconds.
"""
