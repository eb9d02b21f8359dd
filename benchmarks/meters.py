"""What a part of the flow can be measured by, each as a context manager that adds up over many uses."""

import cProfile
import sys
import time
from collections import Counter
from types import CodeType, FrameType
from typing import Any, Self


class CpuMeter:
    """CPU time of this thread, in nanoseconds."""

    def __init__(self) -> None:
        self.ns = 0

    def __enter__(self) -> Self:
        self._began = time.thread_time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.ns += time.thread_time_ns() - self._began


class CallMeter:
    """Function calls, Python's and C's."""

    def __init__(self) -> None:
        self._profiler = cProfile.Profile()

    def __enter__(self) -> Self:
        self._profiler.enable()
        return self

    def __exit__(self, *_: object) -> None:
        self._profiler.disable()

    @property
    def count(self) -> int:
        return sum(entry.callcount for entry in self._profiler.getstats())


class BytecodeMeter:
    """Bytecode instructions by function, in frames that begin inside `with`."""

    def __init__(self) -> None:
        self.by_code: Counter[CodeType] = Counter()

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    @property
    def count(self) -> int:
        return self.by_code.total()

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            self.by_code[frame.f_code] += 1
        return self._trace
