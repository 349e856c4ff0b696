"""A new user's walk: a customer gets mail about an order."""

from distributary.welcome import Content, Entity, Rule, key_prefix

ORDER = Entity(
    name="order",
    keys=("pk", "sk"),
    attributes=("customer", "email", "total", "status"),
    where=key_prefix("sk", "ORDER#"),
)

PAGE = "<h1 style='color: teal'>Thank you, {{customer}}</h1><p>We have your order.</p>"

RULES = [
    Rule(
        name="order-received",
        of=ORDER,
        to="email",
        content={"en": Content("Thank you, {{customer}}", "We have your order, {{customer}}.", PAGE)},
    ),
]
