"""From measured costs of one picture to what an installation needs for so many pictures a day.

Every number that is not measured is a constant of this module, and printed with the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UTILISATION = 0.7
"""How busy a CPU is on average. The rest is for peaks, for a node that fails, and for catching up."""
DAY_S = 86_400
WORKER_CPU = 1
"""What a worker asks for in the chart."""
MODEL_SERVER_CPU = 2


@dataclass(frozen=True)
class Costs:
    """Of one picture of a kind.

    Attributes:
        kind: such as ``12 MP``.
        cpu_s: component → CPU seconds, on the way from the upload to the tags.
        others: the same of what is no part of that way.
        rest_cpus: CPUs that all components together take while nothing happens.
        original: bytes of the file.
        renditions: bytes of what is made of it.
        row: bytes in the database, indexes included.
        log: bytes that the database writes ahead to its log (WAL).
        model_input: bytes that travel to the model server.
    """

    kind: str
    cpu_s: Mapping[str, float]
    others: Mapping[str, float]
    rest_cpus: float
    original: float
    renditions: float
    row: float
    log: float
    model_input: float

    def cpus(self, component: str, a_day: int) -> float:
        """CPUs that a component needs, at :data:`UTILISATION`."""
        return a_day / DAY_S * self.cpu_s[component] / UTILISATION

    def all_cpus(self, a_day: int) -> float:
        """Of all components together, with what they take at rest."""
        return self.rest_cpus + sum(self.cpus(component, a_day) for component in self.cpu_s)


FORMULAS = f"""  r = pictures a day / 86,400 s
  CPUs of a component = r x CPU seconds of a picture / {UTILISATION}
  workers = CPUs of the workers / {WORKER_CPU}, model servers = CPUs of the model server / {MODEL_SERVER_CPU},
    rounded up, at least 1
  object store a day = pictures x (original + renditions), database a day = pictures x bytes of a row
  WAL a day = pictures x bytes of WAL, network = r x (2 x original + renditions + pixels for the model)
  an outage of an hour leaves 3,600 x r pictures waiting, and the same CPUs work that off in
    1 / (1 / {UTILISATION} - 1) = {1 / (1 / UTILISATION - 1):.1f} hours
  all CPUs = those of the components + what they all take at rest, vCPU-hours a day = 24 x all CPUs"""


_HEAD = (
    "pictures a day | a second | workers | model servers | web CPUs | database CPUs | all CPUs"
    " | vCPU-hours a day | object store, GB a day | database, GB a day | WAL, GB a day | network, MB/s"
    " | waiting after an outage of an hour"
)


def plan(costs: Costs, days: Sequence[int]) -> str:
    """The table: for each number of pictures a day what is needed."""
    columns = _HEAD.count(" | ") + 1
    return "\n".join([f"| {_HEAD} |", f"|{' --- |' * columns}", *(_row(costs, a_day) for a_day in days)])


def _row(costs: Costs, a_day: int) -> str:
    rate = a_day / DAY_S
    replicas = {
        name: max(1, math.ceil(costs.cpus(name, a_day) / each))
        for name, each in (("worker", WORKER_CPU), ("model-server", MODEL_SERVER_CPU))
    }
    cpus = costs.all_cpus(a_day)
    network = rate * (2 * costs.original + costs.renditions + costs.model_input)
    cells = (
        f"{a_day:,}",
        f"{rate:.1f}",
        f"{replicas['worker']}",
        f"{replicas['model-server']}",
        f"{costs.cpus('web', a_day):.2f}",
        f"{costs.cpus('database', a_day):.2f}",
        f"{cpus:.1f}",
        f"{24 * cpus:,.0f}",
        f"{a_day * (costs.original + costs.renditions) / 1e9:,.1f}",
        f"{a_day * costs.row / 1e9:,.2f}",
        f"{a_day * costs.log / 1e9:,.2f}",
        f"{network / 1e6:,.1f}",
        f"{3_600 * rate:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def rates(costs: Costs) -> str:
    """What one worker and one model server do a second when they do nothing else."""
    tags, answers = WORKER_CPU / costs.cpu_s["worker"], MODEL_SERVER_CPU / costs.cpu_s["model-server"]
    return (
        f"{costs.kind}: a worker of {WORKER_CPU} CPU tags {tags:.0f} pictures a second at most, a model "
        f"server of {MODEL_SERVER_CPU} answers for {answers:.0f}: one for {answers / tags:.1f} workers"
    )


def price(costs: Costs, a_day: int) -> str:
    """What that costs, in prices that whoever reads it puts in."""
    hours = 24 * costs.all_cpus(a_day)
    stored = a_day * (costs.original + costs.renditions) / 1e9
    rows = a_day * costs.row / 1e9
    return (
        f"{a_day:,} pictures of {costs.kind} a day, with p the price of a vCPU-hour, s of a GB in the object "
        f"store for a month, d of a GB in the database for a month:\n"
        f"  {hours:,.0f} p a day, {1000 * hours / a_day:.3f} p for a thousand pictures;\n"
        f"  each day adds {stored:,.0f} s + {rows:,.1f} d to what a month costs: after a year of them "
        f"{365 * stored:,.0f} s + {365 * rows:,.0f} d"
    )
