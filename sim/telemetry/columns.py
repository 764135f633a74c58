"""Columns that grow while a run writes rows: a row is packed bytes, not an object; numpy sees them at the end.

A span costs 46 bytes and about 130 ns. Above a stated bound the rows move to a file on disk, in chunks, and are read
back through a memory map.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

SPILL_AT = 128 * 2**20  # bytes in memory, for each table

REQUEST = (  # one user request
    ("id", "u4"), ("workload", "u2"), ("operation", "u2"), ("intended", "f8"), ("start", "f8"), ("end", "f8"), ("status", "i2"),
    ("outcome", "u1"),
)
SPAN = (
    ("id", "u4"), ("parent", "u4"), ("trace", "u4"), ("start", "f8"), ("end", "f8"), ("queued", "f4"), ("node", "u2"), ("peer", "u2"),
    ("operation", "u2"), ("instance", "u2"), ("status", "i2"), ("attempt", "u2"), ("kind", "u1"), ("outcome", "u1"),
)
SAMPLE = (("at", "f8"), ("gauge", "u2"), ("mean", "f4"), ("max", "f4"))

_FORMAT = {"u1": "B", "u2": "H", "i2": "h", "u4": "I", "f4": "f", "f8": "d"}


def packer(columns: tuple[tuple[str, str], ...]) -> Callable[..., bytes]:
    """A function that packs one value for each column into a row."""
    return struct.Struct("<" + "".join(_FORMAT[kind] for _, kind in columns)).pack


pack_request, pack_span, pack_sample = packer(REQUEST), packer(SPAN), packer(SAMPLE)


class Rows:
    """One growing table. `rows.write(pack_span(...))` appends a row; `array()` is a numpy structured array of all."""

    def __init__(self, columns: tuple[tuple[str, str], ...]) -> None:
        self.columns = columns
        self.size = struct.calcsize("<" + "".join(_FORMAT[kind] for _, kind in columns))
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self.write: Callable[[bytes], None] = self._buffer.extend
        self.sealed = False

    def spill(self, above: int = SPILL_AT) -> None:
        """Move the rows to disk if they take more than *above* bytes. Called now and then, not for each row."""
        if len(self._buffer) <= above:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="mesocosm-")  # noqa: SIM115 - lives as long as the result
        self._file.write(self._buffer)
        self._buffer.clear()

    def __len__(self) -> int:
        spilled = self._file.tell() if self._file is not None else 0
        return (spilled + len(self._buffer)) // self.size

    def seal(self) -> None:
        """Nothing is written from here on; a late writer is ignored."""
        self.write = lambda row: None
        self.sealed = True

    def since(self, first: int) -> Any:
        """The rows from number *first* on, as an array of their own."""
        import numpy as np

        spilled = self._file.tell() // self.size if self._file is not None else 0
        if first < spilled:
            return self.array()[first:]
        return np.frombuffer(bytes(self._buffer[(first - spilled) * self.size :]), dtype=self._dtype())

    def chunks(self, rows: int = 2**16) -> Iterator[Any]:
        """All rows, a part at a time, for who goes over them once: what lies on disk is read and let go again."""
        import numpy as np

        if self._file is not None:
            self.spill(above=0)
            self._file.flush()
            size, at = rows * self.size, 0
            while part := os.pread(self._file.fileno(), size, at):
                yield np.frombuffer(part, dtype=self._dtype())
                at += len(part)
            return
        everything = self.array()
        for first in range(0, len(everything), rows):
            yield everything[first : first + rows]

    def _dtype(self) -> Any:
        import numpy as np

        return np.dtype([(name, "<" + kind) for name, kind in self.columns])

    def array(self) -> Any:
        """All rows, in the order in which they were written; read-only."""
        import numpy as np

        if self._file is None:
            return np.frombuffer(self._buffer if self.sealed else bytes(self._buffer), dtype=self._dtype())
        self.spill(above=0)
        self._file.flush()
        return np.memmap(self._file, dtype=self._dtype(), mode="r")
