"""Agents' memory, which Mastra writes: counts, latest messages, titles, a search inside JSON, and what expired."""

from pathlib import Path

from examples.agent_memory import recompute, writer
from local.examples import Example, Tier

HERE = Path(__file__).parent

EXAMPLE = Example(
    tables=(writer.TABLE,),
    tiers=(
        Tier(
            "agents",
            {name: HERE / name for name in ("derive", "index", "welcome")},
            also=("archive",),
            parameters={"WelcomeEventNames": "REMOVE"},
        ),
    ),
    indexes=("agent-messages", "agent-workflows"),
    document_name=("id",),
    archived=recompute.removal,
    write=writer.run,
    expected=recompute.expected,
)
