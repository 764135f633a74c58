"""An app that traces itself with OpenTelemetry's SDK, and exports to memory."""

import asyncio

import httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
own_tracer = provider.get_tracer("own")
api_tracer = trace.get_tracer("api")
client = httpx.AsyncClient(base_url="http://backend")


async def order(request):
    with own_tracer.start_as_current_span("order.create", attributes={"order.id": "o-1"}) as span:
        with api_tracer.start_as_current_span("order.payment"):
            await asyncio.sleep(0.25)
            await client.get("/x")
        span.set_attribute("order.total", 1250)
    try:
        with own_tracer.start_as_current_span("mail"):
            raise ValueError("no address")
    except ValueError:
        pass
    return JSONResponse([(span.name, span.end_time - span.start_time) for span in exporter.get_finished_spans()])


app = Starlette(routes=[Route("/order", order)])
