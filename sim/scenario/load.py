"""From files and options to a scenario that can run, or to everything that is wrong with them.

    loaded = load_scenario("checkout.yaml", plans=["slow-payments.yaml"], variant="no-breaker", overrides=["services.orders.workers=32"])
    loaded.scenario, loaded.warnings
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .checks import Plan, is_plan, is_scenario, problems_of, sound
from .documents import Document, document_of, load_document, validated
from .overrides import Patch, option_patch, patched, set_option, variant_patches
from .problems import Collected, Problem, refuse, refuse_any
from .scenario import FaultPlan, Scenario

FilePath = str | os.PathLike[str]


@dataclass(frozen=True)
class Loaded:
    """A scenario that can run: the faults of the plans follow its own. *document* is where it is written."""

    scenario: Scenario
    document: Document
    warnings: tuple[Problem, ...] = ()


def load(path: FilePath, *, faults: Iterable[FilePath] = (), variant: str | None = None, overrides: Iterable[str] = ()) -> Scenario:
    """The scenario in the file at *path*; raise InvalidFile with everything that is wrong with it.

    As on the command line, *faults* are fault plans to lay over it, *variant* names one of its variants, and *overrides* are PATH=VALUE.
    """
    return load_scenario(path, plans=faults, variant=variant, overrides=overrides).scenario


def loads(text: str, name: str = "<text>", folder: str | None = None) -> Scenario:
    """The scenario written as *text*; raise InvalidFile with everything that is wrong with it, placed in *name*.

    The files that it names are looked for in *folder* (None: in the current one).

    >>> loads("name: small\\nduration: 90s\\nservices: {}").duration
    90.0
    >>> loads("name: small\\nduration: 90\\nservices: {}", name="small.yaml")
    Traceback (most recent call last):
    sim.scenario.problems.InvalidFile: small.yaml:2:11: a duration needs a unit
        duration: 90
                  ^
        write '90ms' or '90s'
    """
    document = document_of(name, text, folder)
    scenario = sound(document)
    refuse_any(problems_of(scenario, document, ()))
    return scenario


def load_scenario(
    path: FilePath,
    *,
    plans: Iterable[FilePath] = (),
    variant: str | None = None,
    overrides: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
    patches: Iterable[Patch] = (),
    faults: bool = True,
) -> Loaded:
    """The scenario at *path* with its *variant* applied, then *overrides* (PATH=VALUE) and *patches*, and the faults of *plans* added.

    *options* are overrides that have a name of their own on the command line: `{"duration": "30s"}` for `--duration 30s`.
    Without *faults* it has none. Raise InvalidFile with everything that is wrong.
    """
    wrong = Collected()
    document = _patched(load_document(path), variant, overrides, options or {}, patches, wrong)
    if is_plan(document):
        refuse(document.place(()), "this is a fault plan, not a scenario", f"give it with `--faults {document.path}` beside a scenario")
    added: list[Plan] = []
    for plan in plans:
        with wrong:
            plan_document = load_document(plan)
            if is_scenario(plan_document):
                refuse(plan_document.place(()), "this is a scenario, not a fault plan", "a fault plan has a `name` and a list of `faults`")
            added.append((plan_document, validated(plan_document, FaultPlan).faults))
    with wrong:
        scenario = sound(document)
        wrong.problems += problems_of(scenario, document, added)
    wrong.refuse()
    every = [*scenario.faults, *(fault for _, plan in added for fault in plan)] if faults else []
    return Loaded(scenario.model_copy(update={"faults": every}).as_variant(variant), document, tuple(wrong.problems))


def read(
    path: FilePath, *, variant: str | None = None, overrides: Iterable[str] = (), options: Mapping[str, str] | None = None
) -> Document:
    """The file at *path* with all patches applied, not validated yet; raise InvalidFile."""
    wrong = Collected()
    document = _patched(load_document(path), variant, overrides, options or {}, (), wrong)
    wrong.refuse()
    return document


def _patched(document: Document, variant: str | None, overrides: Iterable[str], options: Mapping[str, str], more: Iterable[Patch],
             wrong: Collected) -> Document:
    """*document* with every patch applied that can be; the others are told to *wrong*."""
    patches: list[Patch] = []
    if variant is not None:
        with wrong:
            patches += variant_patches(document, variant)
    for text in overrides:
        with wrong:
            patches.append(set_option(text))
    for key, text in options.items():
        with wrong:
            patches.append(option_patch(key, text))
    for patch in [*patches, *more]:
        with wrong:
            document = patched(document, patch)
    return document
