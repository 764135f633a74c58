"""Faults in the language of a report: what each kind is, and why one changed nothing.

A run tells its reasons in English, as part of what it recorded; here they are recognised and said again.
"""

from __future__ import annotations

import re
from functools import cache

from reports.texts import Words

KINDS: dict[str, str] = {  # in Spanish; in English the names of kinds speak for themselves
    "network.delay": "retardo en la red",
    "network.loss": "pérdida de paquetes",
    "network.partition": "partición de la red",
    "network.reset": "conexiones cortadas",
    "network.bandwidth": "ancho de banda limitado",
    "network.duplicate": "mensajes duplicados",
    "network.corrupt": "mensajes corrompidos",
    "network.reorder": "mensajes desordenados",
    "instance.kill": "instancias que mueren",
    "instance.unavailable": "instancias que no responden",
    "instance.pause": "instancias en pausa",
    "instance.slow": "instancias lentas",
    "zone.outage": "caída de una zona",
    "resource.cpu": "falta de CPU",
    "resource.memory": "falta de memoria",
    "resource.pool": "conexiones ocupadas",
    "http.delay": "peticiones retenidas",
    "http.abort": "peticiones abortadas",
    "http.throttle": "respuestas frenadas",
    "db.slow": "base de datos lenta",
    "db.error": "errores de la base de datos",
    "db.failover": "cambio de primario",
    "db.replica_lag": "réplicas atrasadas",
    "db.lock": "filas bloqueadas",
    "cache.flush": "caché vaciada",
    "cache.down": "caché caída",
    "cache.limit": "caché reducida",
    "broker.down": "broker caído",
    "broker.slow_consumer": "consumidor lento",
    "broker.redeliver": "mensajes entregados de nuevo",
    "broker.poison": "mensajes envenenados",
    "registry.down": "registro caído",
    "registry.stale": "registro desactualizado",
    "dns.error": "errores de DNS",
    "clock.skew": "reloj desajustado",
    "cert.expire": "certificado caducado",
    "config.bad": "configuración errónea",
    "deploy.bad_version": "despliegue de una versión defectuosa",
    "load.surge": "pico de carga",
}

REASONS: tuple[tuple[str, str], ...] = (  # why a fault changed nothing: as the run says it, and in Spanish
    ("its time never came: it follows the end of {fault}", "nunca llegó su momento: sigue al fin de {fault}"),
    ("its schedule has no time within the run's {seconds} s", "su calendario no cae dentro de los {seconds} s de la ejecución"),
    ("the run was over at {seconds} s, before its time came", "la ejecución terminó en {seconds} s, antes de su momento"),
    ("it met nothing while it was on", "no encontró nada mientras estuvo activo"),
    ("nothing in the system fits its target", "nada en el sistema corresponde a su objetivo"),
    ("there was no instance {name} while it was on", "no hubo ninguna instancia {name} mientras estuvo activo"),
    ("there was no instance {name} as it began", "no había ninguna instancia {name} cuando empezó"),
    ("chance picked none of the {number} that fit its target", "el azar no escogió ninguna de las {number} que corresponden a su objetivo"),
    ("all that fit its target were down already", "todas las que corresponden a su objetivo estaban ya caídas"),
    ("{cache} held nothing that it could have forgotten", "{cache} no guardaba nada que pudiera olvidar"),
    ("{cache} never held more than the room it was left", "{cache} nunca guardó más de lo que cabía en el espacio que le quedó"),
    ("nobody asked anything of {where} while it was on", "nadie pidió nada a {where} mientras estuvo activo"),
    ("its {severity} of {value} changes nothing; give it another", "su {severity} de {value} no cambia nada; dele otro valor"),
    ("of {number} requests to {where} chance hit none (probability {share}%)",
     "de {number} peticiones a {where} el azar no tocó ninguna (probabilidad {share} %)"),
    ("no request to {where} fitted `match` while it was on", "ninguna petición a {where} cumplió `match` mientras estuvo activo"),
    ("no request to {where} came while it was on", "no llegó ninguna petición a {where} mientras estuvo activo"),
    ("of {number} messages {ways} chance hit none", "de {number} mensajes {ways} el azar no tocó ninguno"),
    ("of {number} messages chance hit none", "de {number} mensajes el azar no tocó ninguno"),
    ("no message went {ways} while it was on, or other faults took them all",
     "ningún mensaje fue por {ways} mientras estuvo activo, o se los llevaron todos otros fallos"),
    ("it doubled {number} answers and no request, and a caller takes the first answer that comes",
     "duplicó {number} respuestas y ninguna petición, y quien llama toma la primera respuesta que llega"),
    ("no message {ways} fitted `match` while it was on", "ningún mensaje {ways} cumplió `match` mientras estuvo activo"),
    ("of {number} acknowledgements chance hit none", "de {number} confirmaciones el azar no tocó ninguna"),
    ("nobody acknowledged a message of {broker}", "nadie confirmó un mensaje de {broker}"),
    ("no message on {subject} was published while it was on", "no se publicó ningún mensaje en {subject} mientras estuvo activo"),
    ("another deployment was under way while it was on", "había otro despliegue en marcha mientras estuvo activo"),
    ("no statement at {where} needed what it had locked", "ninguna sentencia en {where} necesitó lo que tenía bloqueado"),
)


def kind_of(fault: str, words: Words) -> str:
    """`network.delay`, as a plan has it; in Spanish with what that is."""
    return fault if words.lang == "en" or fault not in KINDS else f"{fault}, {KINDS[fault]}"


def reason(why: str, words: Words) -> str:
    """*why* a fault changed nothing; one that is not known stays as it is."""
    if words.lang == "en":
        return why
    for pattern, spanish in _patterns():
        found = pattern.fullmatch(why)
        if found is not None:
            return spanish.format(**found.groupdict())
    return why


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """A name in braces stands for anything."""
    return [(re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(english))), spanish) for english, spanish in REASONS]
