"""Your messages; see README.md."""

from pathlib import Path

from distributary.derive import Entity
from distributary.welcome.messages import contents
from distributary.welcome.rules import Rule

TEMPLATES = Path(__file__).parent / "templates"
USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "language"))

RULES = [
    Rule(name="welcome", of=USER, to="email", locale="language", content=contents(TEMPLATES / "welcome")),
]
