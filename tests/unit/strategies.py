"""Values for hypothesis: everything that DynamoDB can hold, and texts chosen to break keys."""

import base64
from decimal import Decimal

from hypothesis import strategies as st


@st.composite
def _numbers(draw):
    digits = draw(st.integers(1, 10**38 - 1) | st.sampled_from([1, 9, 10, 10**37, 10**38 - 1]))
    width = len(str(digits))
    exponent = draw(st.integers(-130 - width + 1, 125 - width + 1) | st.sampled_from([0, -1, 1]))
    sign = draw(st.integers(0, 1))
    leading = exponent + width - 1
    number = Decimal((sign, tuple(map(int, str(digits))), exponent))
    return number if -130 <= leading <= 125 else Decimal(draw(st.integers(-9, 9)))


numbers = _numbers() | st.sampled_from([Decimal(0), Decimal("1E-130"), Decimal("9.9E+125"), Decimal("-1E-130")])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
binaries = st.binary(max_size=12)
sets = (
    st.frozensets(texts, min_size=1, max_size=4)
    | st.frozensets(numbers, min_size=1, max_size=4)
    | st.frozensets(binaries, min_size=1, max_size=4)
)
flat = st.none() | st.booleans() | texts | numbers | binaries | sets
values = st.recursive(
    flat, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
items = st.dictionaries(texts, values, max_size=5)

hostile = st.text(st.sampled_from("ab1#|/:;&=%~ {}()\\\"'.-_+%2h\x00\x1f\x7f\x85\u2028é🌊"), max_size=6)


def as_event(typed):
    """DynamoDB JSON as Lambda's event spells it: binaries as base64 text."""
    ((tag, content),) = typed.items()
    match tag:
        case "B":
            return {"B": base64.b64encode(content).decode()}
        case "BS":
            return {"BS": [base64.b64encode(member).decode() for member in content]}
        case "M":
            return {"M": {name: as_event(member) for name, member in content.items()}}
        case "L":
            return {"L": [as_event(member) for member in content]}
    return {tag: content}
