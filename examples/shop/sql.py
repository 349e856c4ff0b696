"""What the views of examples/shop should hold, by SQL over the tables' items, which SQLite computes."""

import json
import sqlite3
from decimal import Context, Decimal

EXACT, QUOTIENT = Context(prec=200), Context(prec=38)

ITEMS = """
CREATE TABLE orders (id TEXT, customer TEXT, status TEXT, country TEXT, placed_at TEXT, total TEXT, staff TEXT);
CREATE TABLE lines (id TEXT, place INTEGER, sku TEXT, quantity TEXT, price TEXT);
CREATE TABLE customers (id TEXT, name TEXT, email TEXT, active INTEGER, city TEXT, staff TEXT);
CREATE TABLE products (id TEXT, name TEXT, category TEXT, price TEXT, staff TEXT);
INSERT INTO orders SELECT item ->> 'id.S', item ->> 'customer.S', item ->> 'status.S', item ->> 'country.S',
  item ->> 'placed_at.S', item ->> 'total.N', item ->> 'by.S' FROM item WHERE of = 'orders';
INSERT INTO lines SELECT item ->> 'id.S', line.key, line.value ->> 'M.sku.S', line.value ->> 'M.quantity.N',
  line.value ->> 'M.price.N' FROM item, json_each(item, '$.lines.L') AS line WHERE of = 'orders'
  AND line.value ->> 'M.sku.S' IS NOT NULL;
INSERT INTO customers SELECT item ->> 'id.S', item ->> 'name.S', item ->> 'email.S', item ->> 'active.BOOL',
  item ->> 'address.M.city.S', item ->> 'by.S' FROM item WHERE of = 'customers';
INSERT INTO products SELECT item ->> 'id.S', item ->> 'name.S', item ->> 'category.S', item ->> 'price.N',
  item ->> 'by.S' FROM item WHERE of = 'products';
CREATE INDEX of_order ON lines (id);
""".replace("->> '", "->> '$.")

SPENT = """SELECT 'CUSTOMER#' || customer AS pk, 'SPENT' AS sk,
  count(*) AS orders, decimal_sum(total) AS revenue, decimal_avg(total) AS mean,
  decimal_min(total) AS least, min(placed_at) AS first, decimal_max(total) AS most, count(DISTINCT country) AS countries
  FROM orders WHERE customer IS NOT NULL GROUP BY customer"""

VIEWS = {
    "profile": """
        SELECT 'CUSTOMER#' || id AS pk, 'PROFILE' AS sk, name, email AS contact, city AS address_city,
          lower(email) AS login
        FROM customers""",
    "by-city": """
        SELECT 'CITY#' || city AS pk, 'CUSTOMER#' || id AS sk, name, city FROM customers
        WHERE active AND city IS NOT NULL""",
    "bought": """
        SELECT 'BOUGHT#' || sku AS pk, 'ORDER#' || id AS sk, status, quantity
        FROM lines JOIN orders USING (id)
        WHERE place = (SELECT max(place) FROM lines AS other WHERE other.id = lines.id AND other.sku = lines.sku)""",
    "spent": SPENT,
    "per-day": """
        SELECT 'COUNTRY#' || country AS pk, 'DAY#' || date(placed_at) AS sk, count(*) AS orders,
          count(*) FILTER (WHERE status = 'refunded') AS refunds,
          decimal_sum(CASE WHEN status = 'paid' THEN total END) AS paid
        FROM orders WHERE country IS NOT NULL GROUP BY country, date(placed_at)""",
    "per-month": """
        SELECT 'MONTH#' || strftime('%Y-%m', placed_at) AS pk, 'PRODUCT#' || sku AS sk, decimal_sum(quantity) AS units
        FROM lines JOIN orders USING (id) WHERE status IS NOT 'cancelled' GROUP BY 1, 2""",
    "sold": """
        SELECT 'PRODUCT#' || sku AS pk, 'SOLD' AS sk, count(*) AS lines, decimal_sum(quantity) AS units,
          decimal_sum(decimal_mul(quantity, price)) AS revenue, decimal_min(price) AS cheapest,
          decimal_max(price) AS dearest, count(DISTINCT customer) AS customers, count(DISTINCT price) AS prices
        FROM lines JOIN orders USING (id) GROUP BY sku""",
    "last-order": """
        SELECT 'CUSTOMER#' || customer AS pk, 'LAST-ORDER' AS sk, id, total, status FROM (
          SELECT *, row_number() OVER (PARTITION BY customer ORDER BY placed_at DESC, id DESC) AS place FROM orders
          WHERE status IS NOT 'cancelled' AND customer IS NOT NULL)
        WHERE place = 1""",
    "first-order": """
        SELECT 'CUSTOMER#' || customer AS pk, 'FIRST-ORDER' AS sk, id, total, status FROM (
          SELECT *, row_number() OVER (PARTITION BY customer ORDER BY placed_at, id) AS place FROM orders
          WHERE customer IS NOT NULL)
        WHERE place = 1""",
    "largest-orders": """
        SELECT 'COUNTRY#' || country AS pk, 'LARGEST' AS sk,
          listed(place, json_object('id', id, 'total', total, 'customer', customer)) AS top FROM (
          SELECT *, row_number() OVER (PARTITION BY country ORDER BY total COLLATE decimal DESC, id DESC) AS place
          FROM orders WHERE status IS NOT 'cancelled' AND country IS NOT NULL AND total IS NOT NULL)
        WHERE place <= 5 GROUP BY country""",
    "orders-of-customer": """
        SELECT 'CUSTOMER#' || customer AS pk, 'ORDER#' || orders.id AS sk, status, total, name AS customer_name
        FROM orders LEFT JOIN customers ON customers.id = customer WHERE customer IS NOT NULL""",
    "orders-to-serve": """
        SELECT 'BUYER#' || name AS pk, country || '#' || orders.id AS sk, status, email
        FROM orders JOIN customers ON customers.id = customer
        WHERE status IN ('open', 'paid') AND active AND name IS NOT NULL AND country IS NOT NULL""",
    "catalog": """
        SELECT 'CATEGORY#' || category AS pk, 'TOTALS' AS sk, count(*) AS products, decimal_avg(price) AS mean,
          decimal_min(price) AS cheapest, count(DISTINCT name) AS names
        FROM products WHERE category IS NOT NULL GROUP BY category""",
    "edited": """
        SELECT 'STAFF#' || staff AS pk, 'EDITED' AS sk, count(*) AS items, count(DISTINCT id) AS ids
        FROM (SELECT id, staff FROM orders UNION ALL SELECT id, staff FROM customers
              UNION ALL SELECT id, staff FROM products)
        WHERE staff IS NOT NULL GROUP BY staff""",
}

OVER_VIEWS = {
    "tiers": f"""
        SELECT 'TIER#' || CASE WHEN decimal_less(revenue, '100000') THEN 'small' ELSE 'large' END AS pk,
          'TOTALS' AS sk, count(*) AS customers, sum(orders) AS orders, decimal_sum(revenue) AS revenue,
          decimal_max(most) AS most
        FROM ({SPENT}) GROUP BY 1""",
}

TEXTS = {
    *("pk", "sk", "name", "contact", "address_city", "login", "city", "status", "first", "id"),
    *("customer", "customer_name", "email"),
}
"""The attributes that are strings; all others are numbers, but for `top`."""


def database(tables):
    """Holds the items of each table, in DynamoDB JSON."""
    found = sqlite3.connect(":memory:")
    for name, function in AGGREGATES.items():
        found.create_aggregate(name, 1, function)
    found.create_aggregate("listed", 2, _Listed)
    found.create_collation("decimal", lambda one, other: int(EXACT.compare(Decimal(one), Decimal(other))))
    found.create_function("decimal_mul", 2, lambda one, other: text(EXACT.multiply(Decimal(one), Decimal(other))))
    found.create_function("decimal_less", 2, lambda one, other: Decimal(one) < Decimal(other))
    found.execute("CREATE TABLE item (of TEXT, item TEXT)")
    rows = [(name, json.dumps(item)) for name, items in tables.items() for item in items]
    found.executemany("INSERT INTO item VALUES (?, ?)", rows)
    found.executescript(ITEMS)
    return found


def rows(found, views):
    """All rows by their key, as SQL has them: attributes in Python's types, those that are NULL left out."""
    made = {}
    for view, select in views.items():
        cursor = found.execute(select)
        names = [name for name, *_ in cursor.description]
        for row in cursor:
            shown = plain(zip(names, row, strict=True))
            key = shown["pk"], shown["sk"]
            assert key not in made, f"{view} has two rows {key}"
            made[key] = shown
    return made


def plain(pairs):
    """A row's attributes, or those of an entry in it, in Python's types."""
    return {name: _plain(name, value) for name, value in pairs if value is not None}


def _plain(name, value):
    if name == "top":
        return [plain(entry.items()) for entry in json.loads(value)]
    return value if name in TEXTS else Decimal(value)


def text(number):
    """As a table has it."""
    return format(number.normalize(EXACT), "f")


class _Collected:
    """Decimals in SQLite, whose own numbers would round: named as SQLite's decimal extension names them."""

    def __init__(self):
        self.numbers = []

    def step(self, value):
        if value is not None:
            self.numbers.append(Decimal(value))

    def total(self):
        total = Decimal()
        for each in self.numbers:
            total = EXACT.add(total, each)
        return total


class _Sum(_Collected):
    def finalize(self):
        return text(self.total())


class _Average(_Collected):
    def finalize(self):
        return text(QUOTIENT.divide(self.total(), Decimal(len(self.numbers)))) if self.numbers else None


class _Least(_Collected):
    def finalize(self):
        return text(min(self.numbers)) if self.numbers else None


class _Greatest(_Collected):
    def finalize(self):
        return text(max(self.numbers)) if self.numbers else None


class _Listed:
    """JSON objects, in the order of their places, as a JSON array."""

    def __init__(self):
        self.entries = {}

    def step(self, place, entry):
        self.entries[place] = json.loads(entry)

    def finalize(self):
        return json.dumps([self.entries[place] for place in sorted(self.entries)])


AGGREGATES = {"decimal_sum": _Sum, "decimal_avg": _Average, "decimal_min": _Least, "decimal_max": _Greatest}
