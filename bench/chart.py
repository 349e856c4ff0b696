"""The ratios of the last `make bench` that have a target, as a picture: `python -m bench.chart`."""

import json
import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPORT, PICTURE = ROOT / ".bench" / "report.json", ROOT / "docs" / "images" / "bench.svg"
WIDTH, LABELS, LINE, TOP = 880, 520, 30, 46
MOST = 1.4
"""The ratio at the right end; longer bars end there."""

STYLE = """
    .held { fill: #2f9e5b } .missed { fill: #cc4b4b }
    .target { stroke: #1c2430; stroke-width: 2 }
    text { font-family: -apple-system, "Segoe UI", Roboto, Helvetica, sans-serif; fill: #1c2430; font-size: 12px }
    .title { font-weight: 600; font-size: 14px } .small { font-size: 11px; fill: #4a5565 }
    @media (prefers-color-scheme: dark) {
      .held { fill: #4cc38a } .missed { fill: #f27676 } .target { stroke: #e8ecf2 }
      text { fill: #e8ecf2 } .small { fill: #b6c0cf }
    }
"""


def main() -> int:
    """Writes the picture. 1 if there is no report."""
    if not REPORT.exists():
        print(f"there is no {REPORT.relative_to(ROOT)}: run make bench", file=sys.stderr)
        return 1
    PICTURE.write_text("\n".join(_picture(json.loads(REPORT.read_text()))) + "\n")
    return 0


def _picture(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    shown = [each for each in rows if each["target"] and each["ratio"] is not None]
    height = TOP + LINE * len(shown) + 8
    label = "Ratios of one run of make bench, ours to the peer's, each with its target"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    yield f'  role="img" aria-label="{label}">'
    yield f"  <style>{STYLE}  </style>"
    yield '  <text class="title" x="8" y="18">Ours divided by the peer\'s: less is better</text>'
    yield '  <text class="small" x="8" y="34">Green: within the target, which is the vertical line. Red: not.</text>'
    for place, each in enumerate(shown):
        yield from _bar(each, TOP + LINE * place)
    yield "</svg>"


def _bar(each: Mapping[str, Any], y: int) -> Iterator[str]:
    ratio, target = each["ratio"], each["target"]
    first, second = f"{each['branch']}: {each['figure']}", f"{each['workload']}; {each['peer_name']}"
    yield f'  <text x="8" y="{y + 11}">{escape(first)}</text>'
    yield f'  <text class="small" x="8" y="{y + 24}">{escape(second[:88])}</text>'
    kind = "held" if each["holds"] else "missed"
    yield f'  <rect class="{kind}" x="{LABELS}" y="{y + 4}" width="{_length(ratio):.0f}" height="16"/>'
    at = LABELS + _length(target)
    yield f'  <line class="target" x1="{at:.0f}" y1="{y + 1}" x2="{at:.0f}" y2="{y + 23}"/>'
    yield f'  <text x="{LABELS + max(_length(ratio), _length(target)) + 6:.0f}" y="{y + 16}">{ratio:.2f}</text>'


def _length(ratio: float) -> float:
    return min(ratio, MOST) / MOST * (WIDTH - LABELS - 50)


if __name__ == "__main__":
    sys.exit(main())
