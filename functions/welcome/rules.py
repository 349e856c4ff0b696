"""Your messages; see README.md."""

from pathlib import Path

from distributary.welcome import Entity, Rule, contents

TEMPLATES = Path(__file__).parent / "templates"
USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "language"))

RULES = [
    Rule(name="welcome", of=USER, to="email", locale="language", content=contents(TEMPLATES / "welcome")),
]
