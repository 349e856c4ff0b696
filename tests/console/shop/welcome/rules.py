"""The console's tests: a shop's rules."""

from distributary.welcome import Content, Entity, Rule, key_prefix

CUSTOMER = Entity(
    name="customer",
    keys=("pk", "sk"),
    attributes=("name", "email", "language"),
    where=key_prefix("sk", "PROFILE"),
)

PAGE = "<h1 style='color: teal'>Welcome, {{name}}</h1><p>Good to have you.</p><script>parent.hacked = 1</script>"

RULES = [
    Rule(
        name="welcome",
        of=CUSTOMER,
        to="email",
        locale="language",
        content={
            "en": Content("Welcome, {{name}}", "Hello {{name}}, good to have you.", PAGE),
            "de": Content("Willkommen, {{name}}", "Hallo {{name}}, schön, dass Sie da sind."),
        },
    ),
]
