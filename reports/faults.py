"""Faults in the language of a report: what each kind is, and why one changed nothing and what would help.

A run tells its reasons in English and by a key with values, as part of what it recorded; here they are said again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

REASONS: dict[str, str] = {  # why a fault changed nothing, and a cure, in Spanish; in English a run says it itself
    "never followed": "nunca llegó su momento: sigue al fin de '{fault}'; haga que ese acabe antes, o dele un `at`",
    "never within": "su calendario no cae dentro de los {seconds} s de la ejecución; adelántelo, o alargue la ejecución",
    "never reached": "la ejecución terminó en {seconds} s, antes de su momento; adelántelo",
    "met nothing": "no encontró nada mientras estuvo activo; alárguelo, o apunte a otra cosa",
    "nobody": "nada en el sistema corresponde a su objetivo; apunte a algo que exista",
    "no instance meanwhile": "no hubo ninguna instancia '{name}' mientras estuvo activo; apunte a su servicio, o a otro momento",
    "no instance at first": "no había ninguna instancia '{name}' cuando empezó; apunte a su servicio, o a otro momento",
    "nobody by chance": "el azar no escogió ninguna de las {number} que corresponden a su objetivo; suba `value`, o escriba `mode: one`",
    "all down": "todas las que corresponden a su objetivo estaban ya caídas; haga que llegue cuando funcionen, o apunte a otras",
    "took no requests": "{where} de todos modos no aceptaba peticiones; haga que llegue cuando las acepte, o apunte a otras",
    "down cannot pause": "{where} estaba caída cuando empezó, y lo que está caído no puede pararse; haga que llegue cuando funcione",
    "cache empty": "{cache} no guardaba nada que pudiera olvidar; haga que llegue cuando esté en uso",
    "cache roomy": "{cache} nunca guardó más de lo que cabía en el espacio que le quedó; baje `share`",
    "nothing asked": "nadie pidió nada a {where} mientras estuvo activo; apunte a lo que se usa, o alárguelo",
    "no load": "{loads} no envió nada mientras estuvo activo; haga que llegue cuando haya carga",
    "nobody waited": "nadie en {where} tuvo que esperar por lo que quitó; quite más",
    "memory calm": "la memoria de {where} ni se recogió ni se llenó mientras estuvo activo; alárguelo, suba `leak`, o baje `gc_interval`",
    "no new connection":
        "{where} no abrió ninguna conexión mientras estuvo activo, y lo conectado sigue; escriba "
        "`drop_connections: true`, o haga que dure más que `max_connection_age`",
    "no calendar":
        "{where} no hizo nada según el calendario mientras estuvo activo; apunte a un servicio con `code`, a "
        "una caché con `ttl`, o a sidecars de certificados que acaben dentro del `offset`",
    "nobody wrote": "nadie escribió en {database} mientras estuvo activo; alárguelo, o haga que llegue cuando alguien escriba",
    "registry calm":
        "nada cambió en el registro mientras estuvo activo; haga que entretanto entren y salgan instancias, "
        "por ejemplo con `instance.kill`",
    "no such consumer": "nadie toma mensajes de {broker} con ese nombre; nombre un `consumer` que lo haga, o ninguno",
    "not heard":
        "ninguna instancia de {service} supo de ello mientras estuvo activo; haga que dure más de lo que tardan sus `config_updates`",
    "neutral": "su `{severity}` de {value} no cambia nada; dele otro valor",
    "no request by chance": "de {number} peticiones a {where} el azar no tocó ninguna (probabilidad {share} %); súbala, o alárguelo",
    "below rate": "las {number} peticiones a {where} no pasaron de su `rate`; bájelo",
    "no request fitted": "ninguna petición a {where} cumplió `match` mientras estuvo activo; haga que coincida con lo que se pide allí",
    "no request": "no llegó ninguna petición a {where} mientras estuvo activo; apunte a lo que se usa, o alárguelo",
    "no message by chance": "de {number} mensajes el azar no tocó ninguno; suba `probability`, o alárguelo",
    "no message on link by chance": "de {number} mensajes {ways} el azar no tocó ninguno; suba la probabilidad, o alárguelo",
    "within burst": "los {number} mensajes {ways} pasaron dentro de su `burst`; bájelo",
    "no message on link":
        "ningún mensaje fue por {ways} mientras estuvo activo, o se los llevaron todos otros fallos; apunte "
        "a un enlace en uso, o alárguelo",
    "no message": "ningún mensaje fue por {ways} mientras estuvo activo; alárguelo, o haga que llegue cuando los haya",
    "answers doubled":
        "duplicó {number} respuestas y ninguna petición, y quien llama toma la primera respuesta que llega; escriba `direction: to`",
    "no message fitted": "ningún mensaje {ways} cumplió `match` mientras estuvo activo; haga que coincida con lo que se pide allí",
    "no acknowledgement by chance": "de {number} confirmaciones el azar no tocó ninguna; suba `probability`, o alárguelo",
    "no acknowledgement": "nadie confirmó un mensaje de {broker}; alárguelo, o haga que llegue cuando los haya",
    "no message on subject": "no se publicó ningún mensaje en {subject} mientras estuvo activo; nombre otro `subject`, o alárguelo",
    "other deployment": "había otro despliegue en marcha mientras estuvo activo; alárguelo, o haga que llegue cuando ese acabe",
    "no lock needed": "ninguna sentencia en {where} necesitó lo que tenía bloqueado; suba `share`, o alárguelo",
}


def kind_of(fault: str, words: Words) -> str:
    """`network.delay`, as a plan has it; in Spanish with what that is."""
    return fault if words.lang == "en" or fault not in KINDS else f"{fault}, {KINDS[fault]}"


def reason(missed: Mapping[str, Any], words: Words) -> str:
    """Why a fault changed nothing, with the cure, of an event `fault.missed` or a warning of a summary; what has no key stays as it is."""
    if words.lang == "en" or missed.get("reason") not in REASONS:
        return str(missed["why"])
    return REASONS[missed["reason"]].format(**missed["values"])
