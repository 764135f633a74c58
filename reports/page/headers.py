"""Headers of the page's tables, each with an explanation, in English and Spanish."""

from __future__ import annotations

from collections.abc import Sequence

from reports.texts import Words

HEADERS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {  # what it is called; what it means
    "workload": (("Workload", "Carga"), ("Who sends the requests.", "Quién envía las peticiones.")),
    "request": (("Request", "Petición"), ("Method and path.", "Método y ruta.")),
    "offered": (("Offered", "Ofrecidas"), ("Begun per second.", "Iniciadas por segundo.")),
    "goodput": (("Goodput", "Útiles"), ("Answered as asked, per second.", "Atendidas como se pidió, por segundo.")),
    "good": (("OK", "Bien"),
             ("Answered, degraded ones included, of all that ended; cancelled work of a service does not count.",
              "Con respuesta, incluidas las degradadas, de todas las que acabaron; el trabajo cancelado de un servicio no cuenta.")),
    "p50": (("p50", "p50"), ("Half were faster.", "La mitad fue más rápida.")),
    "p99": (("p99", "p99"), ("One in a hundred was slower.", "Una de cada cien fue más lenta.")),
    "slowest": (("Slowest", "Máxima"), ("The slowest of all.", "La más lenta de todas.")),
    "statuses": (("Statuses", "Estados"), ("How many ended with which status.", "Cuántas acabaron con cada estado.")),
    "service": (("Service", "Servicio"), ("Or database, cache, broker.", "O base de datos, caché, broker.")),
    "kind": (("Kind", "Tipo"), ("What it is.", "Qué es.")),
    "instances": (("Instances", "Instancias"), ("Copies that run side by side.", "Copias que funcionan a la vez.")),
    "workers each": (("Workers each", "Trabajadores c/u"),
                     ("Requests that one instance serves at once.", "Peticiones que una instancia atiende a la vez.")),
    "requests": (("Requests", "Peticiones"), ("Served.", "Servidas.")),
    "busy": (("Busy", "Ocupación"),
             ("Share of all workers that were busy, averaged over time.", "Parte de los trabajadores que estaba ocupada, en promedio.")),
    "queue mean": (("Queue", "Cola"), ("Requests waiting for a worker, averaged over time.", "Peticiones esperando turno, en promedio.")),
    "queue max": (("Longest", "Máx."), ("The longest queue of one instance.", "La cola más larga de una instancia.")),
    "refused": (("Refused", "Rechazadas"),
                ("Turned away because the queue was full or by a limit.", "Rechazadas por cola llena o por un límite.")),
    "wasted": (("Wasted", "Inútil"), ("Work on requests that nobody waited for any more.", "Trabajo en peticiones que ya nadie esperaba.")),
    "edge": (("Call", "Llamada"), ("Who calls whom.", "Quién llama a quién.")),
    "calls": (("Calls", "Llamadas"), ("Logical calls; retries are not counted.", "Llamadas lógicas, sin contar reintentos.")),
    "amplification": (("Attempts/call", "Intentos/llam."),
                      ("Attempts for each call: above 1 are retries, below 1 refusals.",
                       "Intentos por llamada: más de 1 son reintentos; menos de 1, rechazos.")),
    "retries": (("Retries", "Reintentos"), ("Attempts after the first, those of sidecars too; hedges are not counted.",
                                            "Intentos después del primero, también los de sidecars, sin contar duplicados.")),
    "timeouts": (("Timeouts", "Plazos vencidos"), ("Attempts given up.", "Intentos abandonados.")),
    "refused calls": (("Refused", "Rechazadas"),
                      ("Refused by a policy before anything was sent; a fallback may still have answered.",
                       "Rechazadas por una política antes de enviar nada; aun así pudo responder una alternativa.")),
    "breaker open": (("Breaker open", "Cortac. abierto"),
                     ("How often and how long, all callers together.", "Cuántas veces y cuánto tiempo, sumando los clientes.")),
}


def headers(words: Words, *keys: str) -> Sequence[tuple[str, str]]:
    """The headers *keys*, each with its explanation."""
    return [(words.pick(HEADERS[key][0]), words.pick(HEADERS[key][1])) for key in keys]
