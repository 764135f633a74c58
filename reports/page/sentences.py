"""The sentences of the timeline, in English and Spanish. `{name}` and its like are names from the run and stand out in print."""

from __future__ import annotations

from string import Formatter

from reports.texts import Words, unparted

Part = tuple[str, bool]  # a piece of text, and whether it is a name
PLAIN = frozenset({"after", "count", "seconds", "until", "from", "share", "of", "worst", "bound", "times", "many"})

SENTENCES: dict[str, tuple[str, str]] = {
    "warm-up ends": ("The warm-up ends; from here on everything counts.", "Termina el calentamiento; desde aquí todo cuenta."),
    "fault on": ("The fault {name} ({kind}) begins at {targets}.", "Empieza el fallo {name} ({kind}) en {targets}."),
    "fault on anywhere": ("The fault {name} ({kind}) begins.", "Empieza el fallo {name} ({kind})."),
    "fault off": ("The fault {name} is over after {seconds}.", "Termina el fallo {name} tras {seconds}."),
    "fault often": ("The fault {name} ({kind}) begins, for the first of {count} times until {until}.",
                    "Empieza el fallo {name} ({kind}), la primera de {count} veces hasta {until}."),
    "fault missed": ("The fault {name} changed nothing: {why}", "El fallo {name} no cambió nada: {why}"),
    "breaker opened": ("The circuit breaker of {edge} opens in {caller}{after}.",
                       "Se abre el cortacircuitos de {edge} en {caller}{after}."),
    "breakers opened": ("The circuit breakers of {edge} open in {count} callers, in {caller} first{after}; the last one within "
                        "{seconds}.",
                        "Se abren los cortacircuitos de {edge} en {count} clientes, primero en {caller}{after}; el último a los "
                        "{seconds}."),
    "breaker closed": ("{edge}: every breaker is closed again after {seconds}{after}. Meanwhile {count} calls were refused at once.",
                       "{edge}: todos los cortacircuitos vuelven a estar cerrados tras {seconds}{after}. Mientras tanto se rechazaron "
                       "{count} llamadas al instante."),
    "probes failed": ("{edge}: trial calls (half-open) find it still unwell and the breakers open again, {count} times until {until}.",
                      "{edge}: las llamadas de prueba (semiabierto) ven que sigue mal y los cortacircuitos vuelven a abrirse, {count} "
                      "veces hasta {until}."),
    "breaker stayed open": ("{edge}: a breaker is still open at the end; {count} calls were refused at once.",
                            "{edge}: al final sigue abierto un cortacircuitos; se rechazaron {count} llamadas al instante."),
    "breaker flaps": ("{edge}: its breakers open and close again {count} times until {until}.",
                      "{edge}: sus cortacircuitos se abren y se cierran {count} veces hasta {until}."),
    "saturated": ("All {count} workers of {node} are busy for {seconds}, until {until}; who comes now has to wait.",
                  "Los {count} trabajadores de {node} están ocupados durante {seconds}, hasta {until}; quien llega tiene que esperar."),
    "saturated to the end": ("All {count} workers of {node} are busy, to the end of the run.",
                             "Los {count} trabajadores de {node} están ocupados hasta el final."),
    "turned away": ("{node} turns away {count} requests until {until}: its queue is full, or a limit is reached.",
                    "{node} rechaza {count} peticiones hasta {until}: su cola está llena o se alcanza un límite."),
    "steady lost": ("{name} no longer holds ({measure} of {of_name}): down to {worst}, wanted at least {bound}.",
                    "Deja de cumplirse {name} ({measure} de {of_name}): baja a {worst}; se pide al menos {bound}."),
    "steady exceeded": ("{name} no longer holds ({measure} of {of_name}): up to {worst}, wanted at most {bound}.",
                        "Deja de cumplirse {name} ({measure} de {of_name}): sube a {worst}; se pide como mucho {bound}."),
    "steady lost briefly": ("For a moment {name} does not hold ({measure} of {of_name}): down to {worst}, wanted at least {bound}.",
                            "Por un momento no se cumple {name} ({measure} de {of_name}): baja a {worst}; se pide al menos {bound}."),
    "steady exceeded briefly": ("For a moment {name} does not hold ({measure} of {of_name}): up to {worst}, wanted at most {bound}.",
                                "Por un momento no se cumple {name} ({measure} de {of_name}): sube a {worst}; se pide como mucho "
                                "{bound}."),
    "steady back": ("{name} holds again, after {seconds}{after}.", "Vuelve a cumplirse {name}, tras {seconds}{after}."),
    "recovered": ("The whole steady state is back {seconds} after the last fault ended.",
                  "El estado estable vuelve por completo {seconds} después del último fallo."),
    "recovered at once": ("The last fault is over and the steady state holds at once.",
                          "Termina el último fallo y el estado estable se cumple desde ese momento."),
    "never recovered": ("The steady state does not come back before the end.", "El estado estable no vuelve antes del final."),
    "instances lost": ("{node}: {count} of {many} instances can be reached{after}.",
                       "{node}: responden {count} de {many} instancias{after}."),
    "instances back": ("{node}: all {many} instances can be reached again{after}.",
                       "{node}: vuelven a responder las {many} instancias{after}."),
    "aborted": ("The run is stopped by abort_if: {name}.", "abort_if detiene la ejecución: {name}."),
    "end": ("The run ends.", "Termina la ejecución."),
    # counted; {count} of them from here until {until}
    "timeout.timeout": ("Calls over {edge} take too long and are given up: {count} attempts until {until}.",
                        "Las llamadas de {edge} tardan demasiado y se abandonan: {count} intentos hasta {until}."),
    "deadline.deadline_exceeded": ("Calls over {edge} run out of their deadline: {count} until {until}.",
                                   "Se agota el plazo total de llamadas de {edge}: {count} hasta {until}."),
    "retry.retry": ("Callers try again over {edge}: {count} retries until {until}.",
                    "Se reintenta en {edge}: {count} reintentos hasta {until}."),
    "retry.retry_gave_up": ("Callers give up trying over {edge}: {count} times until {until}.",
                            "Se renuncia a reintentar en {edge}: {count} veces hasta {until}."),
    "fallback.fallback": ("A fallback answers instead of {edge}: {count} degraded answers until {until}.",
                          "Una respuesta alternativa sustituye a {edge}: {count} respuestas degradadas hasta {until}."),
    "stale_cache.stale_served": ("Old answers from the cache stand in for {edge}: {count} until {until}.",
                                 "Respuestas antiguas de la caché sustituyen a {edge}: {count} hasta {until}."),
    "bulkhead.rejected": ("The bulkhead of {edge} is full and refuses {count} calls until {until}.",
                          "El mamparo de {edge} está lleno y rechaza {count} llamadas hasta {until}."),
    "rate_limiter.rejected": ("The rate limiter of {edge} refuses {count} calls until {until}.",
                              "El limitador de {edge} rechaza {count} llamadas hasta {until}."),
    "memory.oom": ("{node} runs out of memory and is killed: {count} times until {until}.",
                   "{node} se queda sin memoria y muere: {count} veces hasta {until}."),
    "handler.error": ("Code of {node} raises errors: {count} until {until}.", "El código de {node} lanza errores: {count} hasta {until}."),
    "background.error": ("Background work of {node} fails: {count} times until {until}.",
                         "Falla el trabajo en segundo plano de {node}: {count} veces hasta {until}."),
    "saga.compensated": ("The saga {saga} is undone step by step: {count} times until {until}.",
                         "La saga {saga} se deshace paso a paso: {count} veces hasta {until}."),
    "saga.stuck": ("The saga {saga} is stuck: {count} of them until {until}.", "La saga {saga} se atasca: {count} hasta {until}."),
    "registry.view": ("What callers know of the instances of {node} changes {count} times until {until}.",
                      "Lo que los clientes saben de las instancias de {node} cambia {count} veces hasta {until}."),
    "other": ("{kind}: {subject}, {count} times until {until}.", "{kind}: {subject}, {count} veces hasta {until}."),
    # where something stands in time
    "after begin": (", {seconds} after {fault} began", ", {seconds} después de empezar {fault}"),
    "after end": (", {seconds} after {fault} ended", ", {seconds} después de terminar {fault}"),
}


def sentence(words: Words, key: str, **values: object) -> list[Part]:
    """The sentence in pieces, each with whether it is a name from the run. A value may itself be such a list."""
    found: list[Part] = []
    for text, name, _, _ in Formatter().parse(words.pick(SENTENCES[key])):
        if text:
            found.append((text, False))
        if name is not None:
            found += _pieces(values[name], name not in PLAIN)
    return found


def _pieces(value: object, strong: bool) -> list[Part]:
    return value if isinstance(value, list) else [(str(value) if strong else unparted(str(value)), strong)] if str(value) else []


def plain(parts: list[Part]) -> str:
    """The sentence as one text."""
    return "".join(text for text, _ in parts)


