"""Sessions between users and AI characters: active ones, closings, histories, a search, events and a greeting."""

from pathlib import Path

from examples.chat_sessions import recompute, workload
from examples.chat_sessions.writer import TABLE
from local.examples import Example, Tier

HERE = Path(__file__).parent

EXAMPLE = Example(
    tables=(TABLE,),
    tiers=(
        Tier("chat", {"derive": HERE / "derive", "index": HERE / "index", "welcome": HERE / "welcome"}),
        Tier("chat-greeting", {"welcome": HERE / "greeting"}, over="chat"),
    ),
    indexes=("chat-sessions",),
    document_name=("user", "chat_id"),
    write=workload.run,
    expected=recompute.expected,
)
