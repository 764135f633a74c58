"""Faults in the language of a report: what each kind is, and why one changed nothing and what would help.

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

REASONS: tuple[tuple[str, str], ...] = (  # why a fault changed nothing, and a cure: as the run says it, and in Spanish
    ("its time never came: it follows the end of {fault}; let that one end sooner, or give it an `at`",
     "nunca llegó su momento: sigue al fin de {fault}; haga que ese acabe antes, o dele un `at`"),
    ("its schedule has no time within the run's {seconds} s; let it come sooner, or the run last longer",
     "su calendario no cae dentro de los {seconds} s de la ejecución; adelántelo, o alargue la ejecución"),
    ("the run was over at {seconds} s, before its time came; let it come sooner",
     "la ejecución terminó en {seconds} s, antes de su momento; adelántelo"),
    ("it met nothing while it was on; let it last longer, or aim at something else",
     "no encontró nada mientras estuvo activo; alárguelo, o apunte a otra cosa"),
    ("nothing in the system fits its target; aim at something that is there",
     "nada en el sistema corresponde a su objetivo; apunte a algo que exista"),
    ("there was no instance {name} while it was on; aim at its service, or at another time",
     "no hubo ninguna instancia {name} mientras estuvo activo; apunte a su servicio, o a otro momento"),
    ("there was no instance {name} as it began; aim at its service, or at another time",
     "no había ninguna instancia {name} cuando empezó; apunte a su servicio, o a otro momento"),
    ("chance picked none of the {number} that fit its target; raise `value`, or write `mode: one`",
     "el azar no escogió ninguna de las {number} que corresponden a su objetivo; suba `value`, o escriba `mode: one`"),
    ("all that fit its target were down already; let it come when they run, or aim at others",
     "todas las que corresponden a su objetivo estaban ya caídas; haga que llegue cuando funcionen, o apunte a otras"),
    ("{where} took no requests anyhow; let it come when they do, or aim at others",
     "{where} de todos modos no aceptaba peticiones; haga que llegue cuando las acepte, o apunte a otras"),
    ("{where} was down as it began, and what is down cannot stand still; let it come when it runs",
     "{where} estaba caída cuando empezó, y lo que está caído no puede pararse; haga que llegue cuando funcione"),
    ("{cache} held nothing that it could have forgotten; let it come when it is in use",
     "{cache} no guardaba nada que pudiera olvidar; haga que llegue cuando esté en uso"),
    ("{cache} never held more than the room it was left; lower `share`",
     "{cache} nunca guardó más de lo que cabía en el espacio que le quedó; baje `share`"),
    ("nobody asked anything of {where} while it was on; aim at what is in use, or let it last longer",
     "nadie pidió nada a {where} mientras estuvo activo; apunte a lo que se usa, o alárguelo"),
    ("{loads} sent nothing while it was on; let it come when there is a load",
     "{loads} no envió nada mientras estuvo activo; haga que llegue cuando haya carga"),
    ("nobody at {where} had to wait for what it took; take more",
     "nadie en {where} tuvo que esperar por lo que quitó; quite más"),
    ("the memory of {where} was neither collected nor full while it was on; let it last longer, or raise `leak`, or lower `gc_interval`",
     "la memoria de {where} ni se recogió ni se llenó mientras estuvo activo; alárguelo, suba `leak`, o baje `gc_interval`"),
    ("{where} made no new connection while it was on, and what is connected goes on; "
     "write `drop_connections: true`, or let it last longer than `max_connection_age`",
     "{where} no abrió ninguna conexión mientras estuvo activo, y lo conectado sigue; "
     "escriba `drop_connections: true`, o haga que dure más que `max_connection_age`"),
    ("{where} did nothing by the calendar while it was on; aim at a service with `code`, a cache with a `ttl`, "
     "or sidecars of certificates that end within the `offset`",
     "{where} no hizo nada según el calendario mientras estuvo activo; apunte a un servicio con `code`, a una caché con `ttl`, "
     "o a sidecars de certificados que acaben dentro del `offset`"),
    ("nobody wrote to {database} while it was on; let it last longer, or come when somebody writes",
     "nadie escribió en {database} mientras estuvo activo; alárguelo, o haga que llegue cuando alguien escriba"),
    ("nothing changed in the registry while it was on; let instances come and go meanwhile, for example by an `instance.kill`",
     "nada cambió en el registro mientras estuvo activo; haga que entretanto entren y salgan instancias, por ejemplo con `instance.kill`"),
    ("nobody takes messages of {broker} by that name; name a `consumer` that does, or none",
     "nadie toma mensajes de {broker} con ese nombre; nombre un `consumer` que lo haga, o ninguno"),
    ("no instance of {service} heard of it while it was on; let it last longer than its `config_updates` take",
     "ninguna instancia de {service} supo de ello mientras estuvo activo; haga que dure más de lo que tardan sus `config_updates`"),
    ("its {severity} of {value} changes nothing; give it another", "su {severity} de {value} no cambia nada; dele otro valor"),
    ("of {number} requests to {where} chance hit none (probability {share}%); raise it, or let it last longer",
     "de {number} peticiones a {where} el azar no tocó ninguna (probabilidad {share} %); súbala, o alárguelo"),
    ("the {number} requests to {where} stayed below its `rate`; lower it",
     "las {number} peticiones a {where} no pasaron de su `rate`; bájelo"),
    ("no request to {where} fitted `match` while it was on; let it fit what is asked for there",
     "ninguna petición a {where} cumplió `match` mientras estuvo activo; haga que coincida con lo que se pide allí"),
    ("no request to {where} came while it was on; aim at what is in use, or let it last longer",
     "no llegó ninguna petición a {where} mientras estuvo activo; apunte a lo que se usa, o alárguelo"),
    ("of {number} messages chance hit none; raise `probability`, or let it last longer",
     "de {number} mensajes el azar no tocó ninguno; suba `probability`, o alárguelo"),
    ("of {number} messages {ways} chance hit none; raise the probability, or let it last longer",
     "de {number} mensajes {ways} el azar no tocó ninguno; suba la probabilidad, o alárguelo"),
    ("all {number} messages {ways} went within its `burst`; lower it",
     "los {number} mensajes {ways} pasaron dentro de su `burst`; bájelo"),
    ("no message went {ways} while it was on, or other faults took them all; aim at a link that is in use, or let it last longer",
     "ningún mensaje fue por {ways} mientras estuvo activo, o se los llevaron todos otros fallos; apunte a un enlace en uso, o alárguelo"),
    ("no message went {ways} while it was on; let it last longer, or come when there are any",
     "ningún mensaje fue por {ways} mientras estuvo activo; alárguelo, o haga que llegue cuando los haya"),
    ("it doubled {number} answers and no request, and a caller takes the first answer that comes; write `direction: to`",
     "duplicó {number} respuestas y ninguna petición, y quien llama toma la primera respuesta que llega; escriba `direction: to`"),
    ("no message {ways} fitted `match` while it was on; let it fit what is asked for there",
     "ningún mensaje {ways} cumplió `match` mientras estuvo activo; haga que coincida con lo que se pide allí"),
    ("of {number} acknowledgements chance hit none; raise `probability`, or let it last longer",
     "de {number} confirmaciones el azar no tocó ninguna; suba `probability`, o alárguelo"),
    ("nobody acknowledged a message of {broker}; let it last longer, or come when there are any",
     "nadie confirmó un mensaje de {broker}; alárguelo, o haga que llegue cuando los haya"),
    ("no message on {subject} was published while it was on; name another `subject`, or let it last longer",
     "no se publicó ningún mensaje en {subject} mientras estuvo activo; nombre otro `subject`, o alárguelo"),
    ("another deployment was under way while it was on; let it last longer, or come when that one is done",
     "había otro despliegue en marcha mientras estuvo activo; alárguelo, o haga que llegue cuando ese acabe"),
    ("no statement at {where} needed what it had locked; raise `share`, or let it last longer",
     "ninguna sentencia en {where} necesitó lo que tenía bloqueado; suba `share`, o alárguelo"),
)


def kind_of(fault: str, words: Words) -> str:
    """`network.delay`, as a plan has it; in Spanish with what that is."""
    return fault if words.lang == "en" or fault not in KINDS else f"{fault}, {KINDS[fault]}"


def reason(why: str, words: Words) -> str:
    """*why* a fault changed nothing, with the cure; one that is not known stays as it is."""
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
