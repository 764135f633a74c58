"""The table of charts: their names, files, titles and what each shows. Importing it loads no drawing library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """A chart's file, and in one sentence (English, Spanish) what it shows."""

    module: str
    title: tuple[str, str]
    explains: tuple[str, str]
    takes: str = "run"  # one run; "groups": two variants with their runs; "cells": a sweep


CHARTS: dict[str, Chart] = {
    "outcomes": Chart("outcomes",
        ("Requests per second by outcome", "Peticiones por segundo según su resultado"),
        ("How many requests were answered, refused or lost in each moment, against what was offered.",
         "Cuántas peticiones se atendieron, rechazaron o perdieron en cada momento, frente a las ofrecidas.")),
    "percentiles": Chart("percentiles",
        ("Latency percentiles over time", "Percentiles de latencia en el tiempo"),
        ("The usual request and the slow tail: a fault that spares the median may ruin the p99.",
         "La petición habitual y la cola lenta: un fallo que respeta la mediana puede arruinar el p99.")),
    "heatmap": Chart("heatmap",
        ("Where latencies fall", "Dónde caen las latencias"),
        ("Every finished request by time and latency: two populations and timeouts show as bands.",
         "Cada petición terminada según momento y latencia: las poblaciones dobles y los plazos vencidos forman bandas.")),
    "graph": Chart("graph",
        ("Who calls whom", "Quién llama a quién"),
        ("The services with the rate, the errors and the attempts per call on every edge.",
         "Los servicios, con la tasa, los errores y los intentos por llamada en cada arista.")),
    "ecdf": Chart("ecdf",
        ("How many requests were at least this fast", "Cuántas peticiones fueron al menos así de rápidas"),
        ("The cumulative share of requests by latency, and its last tenth enlarged; a second run can be laid over it.",
         "La proporción acumulada de peticiones según su latencia y su última décima ampliada; admite una segunda ejecución.")),
    "spectrum": Chart("spectrum",
        ("Latency by percentile", "Latencia por percentil"),
        ("HdrHistogram's spectrum: the tail has as much room as the rest; a second run can be laid over it.",
         "El espectro de HdrHistogram: la cola tiene tanto sitio como el resto; admite una segunda ejecución.")),
    "waterfall": Chart("waterfall",
        ("One request, span by span", "Una petición, tramo a tramo"),
        ("The slowest request (or any other) as a waterfall, with the critical path that decided its latency.",
         "La petición más lenta (u otra) en cascada, con la ruta crítica que decidió su latencia.")),
    "breakers": Chart("breakers",
        ("Calls and their circuit breakers", "Llamadas y sus cortacircuitos"),
        ("When each circuit breaker was open, under the rates of the calls it guards.",
         "Cuándo estuvo abierto cada cortacircuitos, bajo las tasas de las llamadas que protege.")),
    "queues": Chart("queues",
        ("Workers busy and requests waiting", "Trabajadores ocupados y peticiones en espera"),
        ("Busy workers and waiting requests against capacity, for the services that came nearest to their limit.",
         "Trabajadores ocupados y peticiones en espera frente a la capacidad, en los servicios más cerca de su límite.")),
    "attempts": Chart("attempts",
        ("Attempts by number of the try", "Intentos según su número"),
        ("First tries and retries stacked: how much load the callers made themselves.",
         "Primeros intentos y reintentos apilados: cuánta carga añadieron los propios clientes.")),
    "instances": Chart("instances",
        ("Requests by instance", "Peticiones por instancia"),
        ("How the requests of a service were spread over its instances, with their failures and the times they were down.",
         "Cómo se repartieron las peticiones entre las instancias de un servicio, con sus errores y sus caídas.")),
    "budget": Chart("budget",
        ("Retries and their budget", "Reintentos y su presupuesto"),
        ("The share of retries among calls, the share that the budget allows, and how many retries it refused.",
         "La proporción de reintentos, la que permite el presupuesto y cuántos reintentos negó.")),
    "knee": Chart("knee",
        ("Response time against utilisation", "Tiempo de respuesta y utilización"),
        ("How response time grows with utilisation, beside the curve of queueing theory.",
         "Cómo crece el tiempo de respuesta con la utilización, junto a la curva de la teoría de colas.")),
    "phase": Chart("phase",
        ("Queue against retries", "Cola frente a reintentos"),
        ("Requests waiting against calls retrying: a metastable system settles away from where it began.",
         "Peticiones en espera frente a llamadas que reintentan: un sistema metaestable se asienta lejos de donde empezó.")),
    "registry": Chart("registry",
        ("Instances as they were and as they were believed to be", "Instancias reales y las que se creían vivas"),
        ("Which instances were alive, and which ones the registry and the callers believed to be.",
         "Qué instancias estaban vivas y cuáles creían vivas el registro y los clientes.")),
    "lag": Chart("lag",
        ("Messages waiting in a broker", "Mensajes en espera en un broker"),
        ("Messages published, handled and waiting over time.",
         "Mensajes publicados, atendidos y en espera a lo largo del tiempo.")),
    "sagas": Chart("sagas",
        ("Sagas, one lane each", "Sagas, un carril por cada una"),
        ("Forward steps and compensations of single sagas, those that went wrong first.",
         "Pasos y compensaciones de sagas concretas, primero las que fallaron.")),
    "comparison": Chart("comparison",
        ("Two variants on the same seeds", "Dos variantes con las mismas semillas"),
        ("Two variants over time with confidence bands, and the difference of their paired runs.",
         "Dos variantes en el tiempo con bandas de confianza y la diferencia entre ejecuciones emparejadas."), "groups"),
    "sweep": Chart("sweep",
        ("A measure against what was varied", "Una medida frente a lo que se varió"),
        ("One measure of a sweep as lines with confidence bands, or as a map of two varied things.",
         "Una medida de un barrido como líneas con bandas de confianza, o como mapa de dos cosas variadas."), "cells"),
}
OF_A_RUN = tuple(name for name, chart in CHARTS.items() if chart.takes == "run")
