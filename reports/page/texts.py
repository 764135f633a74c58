"""The page's own words in English and Spanish; those of all reports are in `reports.texts`."""

from __future__ import annotations

from dataclasses import dataclass

from reports.texts import TEXTS as EVERYWHERE
from reports.texts import Words

TEXTS: dict[str, tuple[str, str]] = {
    # frame
    "skip": ("Skip to the report", "Ir al informe"),
    "sections": ("Sections", "Secciones"),
    "nav verdict": ("Verdict", "Veredicto"),
    "nav story": ("What happened", "Qué pasó"),
    "nav charts": ("Over time", "En el tiempo"),
    "nav graph": ("Who calls whom", "Quién llama a quién"),
    "nav traces": ("Single requests", "Petición a petición"),
    "nav tables": ("Tables", "Tablas"),
    "nav pictures": ("More charts", "Más gráficas"),
    "nav scenario": ("Scenario", "Escenario"),
    "no script": ("This browser runs no scripts: verdict, story, tables and scenario are here; charts and traces need them.",
                  "Este navegador no ejecuta scripts: el veredicto, la historia, las tablas y el escenario están aquí; las gráficas y "
                  "las trazas los necesitan."),
    "made by": ("Made by mesocosm from a simulated run: every figure is counted from its recorded rows, and the same seed gives the "
                "same figures.",
                "Creado por mesocosm a partir de una ejecución simulada: cada cifra se cuenta de sus filas registradas, y la misma "
                "semilla da las mismas cifras."),
    # verdict
    "big pass": ("It held", "Ha resistido"),
    "big fail": ("It did not hold", "No ha resistido"),
    "big baseline": ("It was not well before", "Ya iba mal antes"),
    "big aborted": ("It was stopped", "Se detuvo"),
    "big interrupted": ("It was interrupted", "Se interrumpió"),
    "why pass": ("All {total} checks held.", "Se cumplen las {total} comprobaciones."),
    "why pass no checks": ("The scenario asks for nothing, so nothing could fail.",
                           "El escenario no exige nada, así que nada podía fallar."),
    "why fail": ("{failed} of {total} checks fell short under faults.", "{failed} de {total} comprobaciones no se cumplieron bajo fallos."),
    "why baseline": ("The steady state did not hold before the first fault, so the rest says little.",
                     "El estado estable no se cumplía antes del primer fallo, así que el resto dice poco."),
    "why aborted": ("abort_if stopped the run; what was measured until then is here.",
                    "abort_if detuvo la ejecución; aquí está lo medido hasta entonces."),
    "why interrupted": ("What was measured so far is here.", "Aquí está lo medido hasta ese momento."),
    "learn": ("What this teaches", "Qué enseña"),
    "watch": ("What to look at", "En qué fijarse"),
    "no requests": ("Nobody asked for anything.", "Nadie pidió nada."),
    "requests in all": ("{total} requests in all: {shares}.", "{total} peticiones en total: {shares}."),
    "outcome ok": ("answered as asked", "atendidas como se pidió"),
    "outcome degraded": ("degraded", "degradadas"),
    "outcome failed": ("failed", "fallidas"),
    "outcome rejected": ("refused", "rechazadas"),
    "outcome unfinished": ("unfinished", "sin terminar"),
    "one ok": ("ok", "correcta"),
    "one degraded": ("degraded", "degradada"),
    "one failed": ("failed", "fallida"),
    "one rejected": ("refused", "rechazada"),
    "one unfinished": ("unfinished", "sin terminar"),
    "steady state": ("Steady state", "Estado estable"),
    "steady explains": ("What must hold before, during and after the faults.",
                        "Lo que debe cumplirse antes, durante y después de los fallos."),
    "condition": ("Condition", "Condición"),
    "wanted": ("Wanted", "Se pide"),
    "measured": ("Measured", "Medido"),
    "window": ("Window", "Intervalo"),
    "checks": ("Checks", "Comprobaciones"),
    "checks explain": ("Judged once, over a window.", "Se juzgan una vez, en un intervalo."),
    "check": ("Check", "Comprobación"),
    "held": ("held", "se cumple"),
    "not held": ("did not hold", "no se cumple"),
    "no value": ("not judged", "sin juzgar"),
    "phase before": ("Before the faults", "Antes de los fallos"),
    "phase during": ("During the faults", "Durante los fallos"),
    "phase after": ("After the faults", "Después de los fallos"),
    "phase all": ("Whole run", "Toda la ejecución"),
    "users": ("What users saw", "Qué vieron los usuarios"),
    "users explain": ("By when a request was meant to begin; latency counts from then, of those that were answered.",
                      "Según cuándo debía empezar cada petición; la latencia cuenta desde entonces, de las que tuvieron respuesta."),
    "phase": ("Phase", "Fase"),
    "share of outcomes": ("Shares", "Proporción"),
    "failed or refused": ("failed or refused", "fallidas o rechazadas"),
    # story
    "story explains": ("In the order of simulated time. A click on a time takes the charts and the graph there.",
                       "En el orden del tiempo simulado. Al pulsar un tiempo, las gráficas y el grafo van hasta él."),
    "go to": ("Show {at} in charts and graph", "Ver {at} en las gráficas y el grafo"),
    # charts
    "charts explain": ("Move or tap on a chart to read its values: one cursor runs through all of them. Drag to zoom in, double-click "
                       "to zoom out. With the keyboard: arrow keys move the cursor, + and − zoom, Escape zooms out.",
                       "Pasa por encima de una gráfica, o tócala, para leer sus valores: un mismo cursor recorre todas. Arrastra para "
                       "ampliar y haz doble clic para volver. Con el teclado: las flechas mueven el cursor, + y − amplían y reducen, "
                       "Escape vuelve."),
    "show requests": ("Requests", "Peticiones"),
    "all requests": ("all requests", "todas las peticiones"),
    "zoom": ("Zoom", "Ampliar"),
    "whole": ("Whole run", "Toda la ejecución"),
    "chart outcomes": ("Requests per second, by how they ended", "Peticiones por segundo, según cómo acabaron"),
    "chart outcomes explains": ("Stacked by the time at which they ended; the dashed line is what was offered.",
                                "Apiladas según cuándo acabaron; la línea discontinua es lo ofrecido."),
    "chart latency": ("Latency of answered requests", "Latencia de las peticiones con respuesta"),
    "chart latency explains": ("Half were faster than p50, one in a hundred was slower than p99. The axis is logarithmic.",
                               "La mitad fue más rápida que p50; una de cada cien, más lenta que p99. El eje es logarítmico."),
    "chart heat": ("Where latencies fall", "Dónde caen las latencias"),
    "chart heat explains": ("Each cell counts the requests of that time and latency; darker is more. Bands are two populations, or a "
                            "timeout's edge.",
                            "Cada celda cuenta las peticiones de ese momento y latencia; más intenso es más. Las bandas son poblaciones "
                            "distintas o el borde de un plazo."),
    "chart breakers": ("Circuit breakers", "Cortacircuitos"),
    "chart breakers explains": ("One ribbon for each caller. Open: calls are refused at once. Half-open: a few trial calls go through.",
                                "Una cinta por cada cliente. Abierto: rechaza las llamadas al instante. Semiabierto: deja pasar unas "
                                "pocas de prueba."),
    "chart workers": ("Workers busy and requests waiting", "Trabajadores ocupados y peticiones en espera"),
    "chart workers explains": ("Where the blue reaches the dotted line, all workers are busy and the rest wait.",
                               "Donde el azul llega a la línea punteada, todos los trabajadores están ocupados y el resto espera."),
    "service": ("Service", "Servicio"),
    "values": ("Values as a table", "Valores en una tabla"),
    "offered": ("offered", "ofrecidas"),
    "busy": ("workers busy", "ocupados"),
    "queue": ("waiting", "en espera"),
    "capacity": ("all workers", "todos los trabajadores"),
    "time": ("time", "tiempo"),
    "per second": ("per second", "por segundo"),
    "requests there": ("requests", "peticiones"),
    "closed": ("closed", "cerrado"),
    **{state: EVERYWHERE[state] for state in ("open", "half_open", "forced_open", "disabled", "metrics_only")},
    "warm-up": ("warm-up", "calentamiento"),
    "under pointer": ("under the pointer", "bajo el puntero"),
    # graph
    "graph explains": ("Callers left, whom they call right. The thicker a line, the more calls; its colour tells how many of them "
                       "failed or were refused. A box fills up as its workers get busy. Choose a line or a box to see it over time.",
                       "Los clientes a la izquierda y a quién llaman a la derecha. Cuanto más gruesa la línea, más llamadas; el color "
                       "dice cuántas fallaron o se rechazaron. Una caja se llena según se ocupan sus trabajadores. Elige una línea o "
                       "una caja para verla en el tiempo."),
    "moment": ("Moment", "Momento"),
    "play": ("Play", "Reproducir"),
    "pause": ("Pause", "Pausa"),
    "whole run": ("whole run", "toda la ejecución"),
    "between": ("{start} to {until}", "de {start} a {until}"),
    "no fault now": ("no fault", "sin fallos"),
    "fault now": ("fault: {names}", "fallo: {names}"),
    "errors": ("Calls that failed or were refused", "Llamadas fallidas o rechazadas"),
    "none": ("none", "ninguna"),
    "below": ("below {share}", "menos del {share}"),
    "from": ("{share} or more", "{share} o más"),
    "breaker open": ("breaker open", "cortacircuitos abierto"),
    "edge chart": ("Calls over {edge}", "Llamadas de {edge}"),
    "node chart": ("{node}: workers and queue", "{node}: trabajadores y cola"),
    "calls fine": ("fine", "bien"),
    "calls degraded": ("a fallback answered", "respondió una alternativa"),
    "calls bad": ("failed or refused", "fallidas o rechazadas"),
    "attempts": ("attempts", "intentos"),
    "drawing": ("The graph as a picture", "El grafo dibujado"),
    "choose": ("Choose a line or a box above.", "Elige arriba una línea o una caja."),
    "edge label": ("{source} calls {target}: {rate} per second, {bad} failed or refused, {attempts} attempts a call",
                   "{source} llama a {target}: {rate} por segundo, {bad} fallidas o rechazadas, {attempts} intentos por llamada"),
    "edge label quiet": ("{source} calls {target}: no call in this time", "{source} llama a {target}: ninguna llamada en este tiempo"),
    "no calls": ("Nobody called anybody in this run.", "Nadie llamó a nadie en esta ejecución."),
    # traces
    "traces explain": ("Some requests, span by span. Open one to see what it waited for; the dark line under the bars is the critical "
                       "path.",
                       "Algunas peticiones, tramo a tramo. Abre una para ver a qué esperaba; la línea oscura bajo las barras es la ruta "
                       "crítica."),
    "group all": ("all", "todas"),
    "group failed": ("failed", "fallidas"),
    "group slow": ("slowest", "más lentas"),
    "group degraded": ("degraded", "degradadas"),
    "group ordinary": ("ordinary", "normales"),
    "show": ("Show", "Ver"),
    "find": ("Find", "Buscar"),
    "find traces": ("service, request, status or text in the logs", "servicio, petición, estado o texto de los registros"),
    "find rows": ("Filter rows", "Filtrar filas"),
    "shown of": ("{shown} of {total}", "{shown} de {total}"),
    "no traces": ("No request of this run left a trace.", "Ninguna petición de esta ejecución dejó una traza."),
    "none fits": ("Nothing fits.", "Nada coincide."),
    "request": ("Request", "Petición"),
    "began": ("at {at}", "en {at}"),
    "logs": ("Log lines", "Líneas de registro"),
    "no logs": ("Nothing was logged.", "No se registró nada."),
    "hidden spans": ("{count} shorter spans are not shown.", "No se muestran {count} tramos más cortos."),
    "span": ("Span", "Tramo"),
    "duration": ("Duration", "Duración"),
    "queued": ("waiting for a worker", "esperando turno"),
    "serving": ("in a service", "en un servicio"),
    "calling": ("a call", "una llamada"),
    "failing": ("failed", "fallida"),
    "critical": ("critical path", "ruta crítica"),
    "answered here": ("nobody waits any more", "ya nadie espera"),
    "trace id": ("Trace", "Traza"),
    "spent": ("On the critical path: {parts}.", "En la ruta crítica: {parts}."),
    "level": ("Level", "Nivel"),
    "level debug": ("debug", "detalle"),
    "level info": ("info", "info"),
    "level warn": ("warn", "aviso"),
    "level error": ("error", "error"),
    "who": ("Who", "Quién"),
    "message": ("Message", "Mensaje"),
    # tables
    "tables explain": ("After the warm-up. A click on a header sorts.", "Tras el calentamiento. Al pulsar una cabecera se ordena."),
    "table requests": ("Requests", "Peticiones"),
    "table services": ("Services", "Servicios"),
    "table calls": ("Calls and their policies", "Llamadas y sus políticas"),
    "all kinds": ("(all)", "(todas)"),
    "outermost": ("Under a call stand its policies, outermost first: the first one sees the call first. A click shows all settings.",
                  "Debajo de cada llamada van sus políticas, de fuera adentro: la primera ve antes la llamada. Al pulsar se ven los "
                  "ajustes."),
    # scenario
    "scenario explains": ("The whole scenario as it ran, with every default written out.",
                          "El escenario completo tal como se ejecutó, con todos los valores por defecto."),
    "scenario yaml": ("Scenario", "Escenario"),
    "faults yaml": ("Fault plan", "Plan de fallos"),
    "no faults": ("No fault was planned.", "No había ningún fallo previsto."),
    "again": ("Run it again", "Repetirla"),
    "again explains": ("The run's folder holds everything; this runs it again and compares every recorded row.",
                       "La carpeta de la ejecución lo contiene todo; esto la repite y compara cada fila registrada."),
    "copy": ("Copy", "Copiar"),
    "copied": ("Copied", "Copiado"),
    "seed": ("Seed", "Semilla"),
    "variant": ("Variant", "Variante"),
    "digest": ("Digest", "Huella"),
    "simulated": ("Simulated", "Simulado"),
    "took": ("{wall} on the clock", "{wall} de reloj"),
    "pictures explain": ("The same charts lie as files in the folder charts.",
                         "Las mismas gráficas están como archivos en la carpeta charts."),
}

IN_THE_BROWSER = tuple(
    key for key in TEXTS if not key.startswith(("nav ", "big ", "why ", "table ")) and not key.endswith((" explains", " explain"))
)


@dataclass(frozen=True)
class Texts:
    """The page's words in one language: `texts("began", at="61 s")`."""

    words: Words

    def __call__(self, key: str, **values: object) -> str:
        text = self.words.pick(TEXTS[key])
        return text.format(**values) if values else text

    def in_the_browser(self) -> dict[str, str]:
        """What scripts say, by key, with places for values left open."""
        return {key: self(key) for key in IN_THE_BROWSER}
