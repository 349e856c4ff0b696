"""The console's tests: a shop's rules."""

from distributary.welcome import Content, Entity, Rule, key_prefix

CUSTOMER = Entity(
    name="customer",
    keys=("pk", "sk"),
    attributes=("name", "email", "language"),
    where=key_prefix("sk", "PROFILE"),
)

RULES = [
    Rule(
        name="welcome",
        of=CUSTOMER,
        to="email",
        locale="language",
        content={
            "en": Content("Welcome, {{name}}", "Hello {{name}}, good to have you."),
            "de": Content("Willkommen, {{name}}", "Hallo {{name}}, schön, dass Sie da sind."),
        },
    ),
]
