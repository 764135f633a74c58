"""A real Prometheus on loopback, filled from an OpenMetrics file."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

from reports.export.time import EPOCH_S

PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")


class Server:
    """Answers queries at simulated times."""

    def __init__(self, port):
        self.root = f"http://127.0.0.1:{port}"

    def get(self, path):
        """The answer's text, or None while nobody listens."""
        try:
            with urllib.request.urlopen(self.root + path, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return None if error.code == 503 else error.read().decode()
        except OSError:
            return None

    def query(self, text, at):
        """The samples of an instant query at *at* (simulated seconds), as (labels, value)."""
        answer = json.loads(self.get(f"/api/v1/query?{urllib.parse.urlencode({'query': text, 'time': EPOCH_S + at})}"))
        assert answer["status"] == "success", answer
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["data"]["result"]]

    def value(self, text, at):
        """The one number that *text* gives at *at*."""
        ((_, value),) = self.query(text, at)
        return value


@contextmanager
def serving(metrics, folder):
    """A server on the file *metrics*, with its data in *folder*; stopped at the end."""
    load = [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", str(metrics), str(folder / "data")]
    subprocess.run(load, check=True, capture_output=True, timeout=60)
    (folder / "prometheus.yml").write_text("{}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            server = Server(port)
            limit = time.monotonic() + 30
            while server.get("/-/ready") is None:
                assert process.poll() is None, "Prometheus does not start"
                assert time.monotonic() < limit, "Prometheus does not get ready"
                time.sleep(0.05)
            yield server
        finally:
            process.terminate()
