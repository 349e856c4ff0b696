"""Your messages to new users; see README.md."""

from distributary.rules import Rule
from distributary.views import Entity

USER = Entity(name="user", keys=("user_id",), attributes=("email", "name"))

RULES = [
    Rule(
        name="welcome",
        of=USER,
        to="email",
        subject="Welcome, {name}",
        text="Hello {name},\n\ngood to have you with us.\n",
    ),
]
