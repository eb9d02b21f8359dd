"""What the figures should be: the keys of build/bench/result.json."""

from typing import Literal, NamedTuple


class Goal(NamedTuple):
    """A bound of a figure; `stretch` is what one would like beyond it."""

    sign: Literal["≥", "≤", "<"]
    value: float
    stretch: float | None = None

    def met(self, figure: float) -> bool:
        """Whether the figure is on the right side of the bound."""
        if self.sign == "≥":
            return figure >= self.value
        return figure < self.value or (figure == self.value and self.sign == "≤")

    def __str__(self) -> str:
        stretch = "" if self.stretch is None else f", stretch {self.stretch:,g}"
        return f"{self.sign} {self.value:,g}{stretch}"


GOALS = {
    "hop_vs_aiokafka": Goal("≥", 0.9, 0.95),
    "hop_vs_confluent": Goal("≥", 0.6),
    "hop_vs_naive_faststream": Goal("≥", 30),
    "hop_vs_quix": Goal("≥", 1.3),
    "intake_vs_naive_faststream": Goal("≥", 12),
    "oracle_per_s": Goal("≥", 25_000, 40_000),
    "flow_per_s": Goal("≥", 12_000, 15_000),
    "flow_kafka_postgres_per_s": Goal("≥", 9_000, 12_000),
    "load_max_per_s": Goal("≥", 6_000, 10_000),
    "verify_s": Goal("≤", 8, 4),
    "p99_ms_at_1000": Goal("<", 100, 60),
    "p999_ms_at_1000": Goal("<", 250, 150),
    "idle_ms_p50": Goal("<", 20, 10),
    "idle_cpu_percent": Goal("≤", 10, 3),
    "start_s": Goal("≤", 3, 1.5),
    "growth_5m": Goal("≤", 1.1),
    "rss_mb_max": Goal("≤", 300),
    "whatif_ms": Goal("≤", 10),
    "whatif_all_combinations_s": Goal("≤", 1),
    "whatif_draws_s": Goal("≤", 3),
    "whatif_build_s": Goal("≤", 5),
    "whatif_load_s": Goal("≤", 0.1),
}
