"""Checks as JUnit XML, so that a CI system shows them as tests: one test case a check, with what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from sim.scenario.measures import told

from .time import rfc3339

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 has no way to write these


def junit(result: RunResult) -> str:
    """The document. A check that could not be measured is an error, not a failure: nothing is known to be wrong."""
    checks = result.summary.get("checks") or []
    suite = ET.Element("testsuite", {
        "name": _text(result.name), "tests": str(len(checks)), "time": f"{result.duration:.3f}", "timestamp": rfc3339(0.0).rstrip("Z"),
        "failures": str(sum(not check["passed"] and check["measured"] is not None for check in checks)),
        "errors": str(sum(not check["passed"] and check["measured"] is None for check in checks)),
    })
    for name, value in (("seed", result.seed), ("digest", result.digest), ("verdict", result.summary.get("verdict"))):
        properties = suite.find("properties")
        if properties is None:
            properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    for check in checks:
        _case(suite, result, check)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, result: RunResult, check: Mapping[str, Any]) -> None:
    start, end = check.get("from_s") or 0.0, check.get("until_s") or result.duration
    case = ET.SubElement(suite, "testcase", {"classname": _text(result.name), "name": _text(check["title"]), "time": f"{end - start:.3f}"})
    if check["passed"]:
        return
    measured = check["measured"]
    measure, bound = str(check.get("measure", "")), check["bound"]
    wanted = f"{check['op'].replace('_', ' ')} {told(bound, measure)}"
    window = f"from {start:g} s to {end:g} s"
    if measured is None:
        ET.SubElement(case, "error", {"message": f"nothing to measure {window}; wanted {wanted}"})
    else:
        ET.SubElement(case, "failure", {"message": f"measured {told(measured, measure, bound)}, wanted {wanted}, {window}"})


def _text(value: Any) -> str:
    """As text that XML can hold."""
    return _FORBIDDEN.sub("\ufffd", str(value))
