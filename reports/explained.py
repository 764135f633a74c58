"""What `mesocosm explain` prints: the reckoning of a scenario as two tables and a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from reports.aligned import aligned
from reports.texts import Texts, Words
from sim.scenario.reckoning import EdgeCost, Reckoning, ServiceLoad

NO_TIME = 1e-7  # seconds; a shorter wait is none
TEXTS: dict[str, tuple[str, str]] = {  # key: English, Spanish
    "title": ("{title}: what arithmetic says before anything runs. Retries, faults and cache misses are not in the loads.",
              "{title}: lo que dice la aritmética antes de ejecutar nada. "
              "Las cargas no incluyen reintentos, fallos ni lecturas fuera de caché."),
    "services": ("SERVICES  requests, how long each holds a worker and waits for one (M/M/c; Allen-Cunneen), workers busy; "
                 "arrivals per user request at worst",
                 "SERVICIOS  peticiones, cuánto ocupa cada una a un trabajador y cuánto lo espera (M/M/c; Allen-Cunneen), "
                 "trabajadores ocupados; llegadas por petición de usuario en el peor caso"),
    "calls": ("CALLS  attempts and time that one call costs at worst",
              "LLAMADAS  intentos y tiempo que cuesta una llamada en el peor caso"),
    "warning": ("warning: {edge}: {text}", "aviso: {edge}: {text}"),
    "some code": ("what the code of {count} service{plural} calls is known in a run only: where it says +, more may come",
                  "a quién llama el código de {count} servicio{plural} solo se sabe al ejecutar: donde pone +, puede llegar más"),
    "closed": ("users of {names} wait for their answers: so much they ask if nobody waits for a worker",
               "los usuarios de {names} esperan sus respuestas: tanto piden si nadie espera a un trabajador"),
    "its code": ("its code", "su código"),
    "decides": ("decides", "decide"),
    "for ever": ("for ever", "siempre"),
    "no limit": ("no limit", "sin límite"),
    "no policies": ("none", "ninguna"),
    "any": ("any", "sin tope"),
    "nothing": ("nothing that arithmetic knows of is loaded", "nada de lo que la aritmética conoce tiene carga"),
    "overloaded": ("{name} is overloaded: it can serve {share} of what is asked of it",
                   "{name} está sobrecargado: puede atender el {share} de lo que se le pide"),
    "bottleneck": ("{name} is the first bottleneck: it saturates at {times} times this load",
                   "{name} es el primer cuello de botella: se satura con {times} veces esta carga"),
}
SERVICE_HEADS = (("", "offered/s", "holds", "waits", "busy", "of", "used", "at worst"),
                 ("", "ofrecidas/s", "ocupa", "espera", "ocupados", "de", "uso", "lo peor"))
CALL_HEADS = (("", "calls/s", "attempts", "longest", "policies, outermost first"),
              ("", "llamadas/s", "intentos", "lo más largo", "políticas, de fuera adentro"))


def explained(title: str, reckoning: Reckoning, lang: str = "en") -> Iterator[str]:
    """Lines of text."""
    words = Words(lang)
    texts = Texts(words, TEXTS)
    code = [load.name for load in reckoning.services if not load.known]
    unsure = {callee for caller, _, callee in (edge.name.partition("->") for edge in reckoning.edges) if caller in code}
    unsure |= {load.name for load in reckoning.services if code and not load.rate}  # whom only code may call
    yield texts("title", title=title)
    yield ""
    yield texts("services")
    services = [_service_row(load, load.name in unsure, texts) for load in reckoning.services]
    yield from aligned(words.pick(SERVICE_HEADS), services)
    yield ""
    yield texts("calls")
    calls = [_call_row(edge, edge.name.partition("->")[0] in code, texts) for edge in reckoning.edges]
    yield from aligned(words.pick(CALL_HEADS), calls, words={0, len(CALL_HEADS[0]) - 1})
    for edge in reckoning.edges:
        for warning in edge.warnings:
            yield f"  {texts('warning', edge=edge.name, text=warning)}"
    yield ""
    yield _verdict(reckoning, texts)
    if reckoning.closed:
        yield texts("closed", names=", ".join(reckoning.closed))
    if code:
        yield texts("some code", count=len(code), plural="s" * (len(code) > 1))


def _service_row(load: ServiceLoad, unsure: bool, texts: Texts) -> tuple[str, ...]:
    words = texts.words
    name = load.name if load.kind == "service" else f"{load.name} ({words.kind(load.kind)})"
    rate, workers, worst = _rate(load.rate, unsure, words), _workers(load.workers, texts), _times(load.worst_arrivals, texts)
    if not load.known:
        return (name, rate, texts("its code"), texts("decides"), "", workers, "", worst)
    if unsure and not load.rate:
        return (name, "+", "", "", "", workers, "", worst)
    wait = ("" if load.wait is None else texts("for ever") if load.wait == math.inf
            else words.seconds(load.wait if load.wait > NO_TIME else 0.0))
    used = words.percent(load.utilisation) if load.utilisation is not None else ""
    return (name, rate, words.seconds(load.time), wait, words.short(load.busy), workers, used, worst)


def _rate(rate: float, unsure: bool, words: Words) -> str:
    """A rate, or a part of it, where code may send more."""
    return words.short(rate) if not unsure else f"{words.short(rate)} +" if rate else "+"


def _call_row(edge: EdgeCost, unsure: bool, texts: Texts) -> tuple[str, ...]:
    longest = texts.words.seconds(edge.latency) if math.isfinite(edge.latency) else texts("no limit")
    policies = " > ".join(edge.policies) or texts("no policies")
    return (edge.name, _rate(edge.rate, unsure, texts.words), _times(edge.attempts, texts), longest, policies)


def _times(number: float, texts: Texts) -> str:
    return texts("no limit") if not math.isfinite(number) else f"x{number:g}" if number else ""


def _workers(number: float, texts: Texts) -> str:
    return texts.words.number(number) if math.isfinite(number) else texts("any")


def _verdict(reckoning: Reckoning, texts: Texts) -> str:
    if reckoning.bottleneck is None:
        return texts("nothing")
    if reckoning.headroom < 1:
        return texts("overloaded", name=reckoning.bottleneck, share=texts.words.percent(reckoning.headroom))
    return texts("bottleneck", name=reckoning.bottleneck, times=texts.words.short(reckoning.headroom))
