"""What a stack's functions have measured, read from CloudWatch with few calls.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

OWN, LAMBDA = "Distributary", "AWS/Lambda"
PERIOD = 300
"""Seconds. CloudWatch keeps these for 63 days."""

AT_ONCE = 500
"""Of the queries that a call takes."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One series. `stat`: Sum or Maximum of each period."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str = "Sum"

    def query(self, number: int) -> dict[str, Any]:
        """As GetMetricData takes it."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions]
        metric = {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}
        return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": PERIOD, "Stat": self.stat}}


def own(stack: str, branch: str, name: str, stat: str = "Sum", service: str = "") -> Metric:
    """What a function of a branch emits; see `consumer/telemetry.py`. `service`: of the function, if not the branch."""
    dimensions = (("branch", branch), ("service", service or branch), ("stack", stack))
    return Metric(OWN, name, dimensions, stat)


def of_lambda(function: str, name: str, stat: str = "Sum") -> Metric:
    """Lambda's own, of a function by its name."""
    return Metric(LAMBDA, name, (("FunctionName", function),), stat)


@dataclass(frozen=True, slots=True)
class Series:
    """Values by the beginning of their period; periods without one are missing."""

    values: Mapping[datetime, float]

    def since(self, time: datetime) -> "Series":
        """What began then or later."""
        return Series({when: value for when, value in self.values.items() if when >= time})

    @property
    def total(self) -> float:
        """0 if there is no value."""
        return sum(self.values.values())

    @property
    def most(self) -> float | None:
        """None if there is no value."""
        return max(self.values.values(), default=None)

    @property
    def last(self) -> float | None:
        """None if there is no value."""
        return self.values[max(self.values)] if self.values else None


def read(cloudwatch: Any, metrics: Sequence[Metric], now: datetime, hours: float) -> dict[Metric, Series]:
    """Those of the last hours, up to `now`, and of the period in which they begin. Raises ClientError."""
    found = {metric: dict[datetime, float]() for metric in metrics}
    start = now - timedelta(hours=hours)
    start -= timedelta(seconds=start.timestamp() % PERIOD)
    for first in range(0, len(metrics), AT_ONCE):
        part = metrics[first : first + AT_ONCE]
        queries = [metric.query(number) for number, metric in enumerate(part)]
        request: dict[str, Any] = {"MetricDataQueries": queries, "StartTime": start, "EndTime": now}
        while True:
            page = cloudwatch.get_metric_data(**request)
            for each in page["MetricDataResults"]:
                values = zip(each["Timestamps"], each["Values"], strict=True)
                found[part[int(each["Id"][1:])]].update(values)
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
    return {metric: Series(values) for metric, values in found.items()}
