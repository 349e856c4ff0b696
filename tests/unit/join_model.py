"""Every interleaving of the steps of a Join, with duplicates, folded batches and crashes.

The tables, where a version stands for the content that the history gives it:
    right c  -> (version, since, cursor)      `since`: the first version with this content; `cursor`: fanned out so far
    ledger o -> (version, row key, held)      the row's key, None if there is no row; the `since` that it was put with
    sub c o  -> row key                       none where the row itself lies in the right item's partition
    row key  -> (left item, left version, foreign key, since)
A delivery carries one or several changes of an item, folded: the newest is applied. Each change is in one delivery that
is carried through. Zombies run whenever they like and may die after any step, so that a crash with its redelivery is a
zombie that died early. Wherever every change has been carried through, rows and subscriptions must be right, whatever
zombies did or may still do. Each `yield` is one step: a consistent read, or a write, several actions being a
transaction: (key, condition on the old value, new value of the old). A write is answered with the key that refused, or
None, and with its old value.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

Program = Generator[Any, Any, Any]
World = dict[str, dict[int, Any]]
Delivery = tuple[str, tuple[int, ...]]

AGAIN = "again"
"""What a program returns to start anew: what it had read is no longer so."""


@dataclass(frozen=True)
class Rule:
    """`kind`: `left`, `own` (left, and the row is its own subscription), `inner`, or `both`: keys and `where` read both
    sides. `without` names guards that are left out. `cursor`: the fan-out keeps one after every page."""

    kind: str
    without: frozenset[str] = frozenset()
    cursor: bool = False

    def has(self, guard: str) -> bool:
        """Whether the guard is there."""
        return guard not in self.without


def row_key(kind: str, value: tuple[str | None, str | None] | None, content: str | None) -> str | None:
    """Where a left item's row is: `value` is its foreign key and its own key. In `both`, items of lower case are hidden
    and the key holds the right content."""
    fk, key = value or (None, None)
    if key is None or (kind != "left" and kind != "own" and (fk is None or content is None)):
        return None
    if kind == "both":
        return f"{key}{content}" if content and content.isupper() else None
    return f"{fk}.{key}" if kind == "own" else key


def left(world: World, rule: Rule, o: str, folded: tuple[int, ...]) -> Program:
    """A delivery of a left item's changes."""
    v = max(folded)
    ledger = yield "get", ("ledger", o)
    version, shown, held = ledger or (0, None, 0)
    was = world[o].get(version, (None, None))
    seen = min(folded) <= version
    if version >= v:
        if not rule.has("equal looks" if version == v else "superseded looks"):
            return None
        fk = was[0]
    else:
        fk, key = world[o][v]
        kept = rule.kind != "both" and key is not None and (fk, key) == was
        if fk and not kept:
            found = yield "get", ("right", fk)
            held = found[1] if found else 0
        elif not fk:
            held = 0
        before, shown = shown, shown if kept else row_key(rule.kind, world[o][v], world[fk].get(held) if fk else None)
        actions = [(("ledger", o), _same(rule, ledger), _be((v, shown, held)))]
        if kept:
            actions += [(("row", shown), _any, lambda old: (o, v, fk, old[3]))] if shown else []
        else:
            actions += [(("row", before), _any, _gone)] if before and before != shown else []
            actions += [(("row", shown), _any, _be((o, v, fk, held)))] if shown else []
            if rule.kind != "own":
                actions += [(("sub", was[0], o), _any, _gone)] if was[0] and was[0] != fk else []
                actions += [(("sub", fk, o), _any, _be(key))] if fk else []
        failed, _ = yield "write", *actions
        if failed:
            return AGAIN
        if kept and not (seen and rule.has("folded edit looks")):
            return None
    if fk and rule.has("second look"):
        now = yield "get", ("right", fk)
        if now and now[1] > held:
            yield from freshen(world, rule, o, shown, fk, now[1])
    return None


def right(world: World, rule: Rule, c: str, folded: tuple[int, ...]) -> Program:
    """A delivery of a right item's changes."""
    v = max(folded)
    pages = (yield from subscriptions(world, rule, c)) if not rule.has("subscriptions last") else None

    def alike(old: Any) -> bool:
        return bool(world[c][old[1]] == world[c][v])

    failed, old = yield (
        "write",
        (("right", c), lambda old: not old or (old[0] < v and not alike(old)), _be((v, v, ""))),
    )
    since, cursor = (v, "") if not failed else old[1:]
    if failed and old[0] < v and rule.has("alike version kept"):
        failed, _ = yield "write", (("right", c), lambda old: old[0] < v and alike(old), lambda old: (v, *old[1:]))
        if failed:
            return AGAIN
    wanted = since in folded if rule.has("fold names since") else since == v
    if failed and not rule.has("equal goes on"):
        return None
    if not wanted or (failed and old[0] > v and not rule.has("alike goes on")):
        return None
    if pages is None and not rule.cursor:
        pages = yield from subscriptions(world, rule, c)
    for o, own in pages if pages is not None else _left_items(world, rule, c):
        place, key = f"{o} {own}", own
        if rule.cursor and place <= cursor:
            continue
        if rule.cursor and not rule.has("page before cursor"):
            yield from _keep(rule, c, since, place)
        if rule.cursor:
            sub = yield "get", _sub(rule, c, o, own)
            key = sub and (own or sub)
        if key:
            yield from freshen(world, rule, o, key, c, since)
        if rule.cursor and rule.has("page before cursor"):
            yield from _keep(rule, c, since, place)
    return None


def _keep(rule: Rule, c: str, since: int, at: str) -> Program:
    def same(old: Any) -> bool:
        return bool(old and (old[1] == since or not rule.has("cursor of since")))

    yield "write", (("right", c), same, lambda old: (*old[:2], at))


def _left_items(world: World, rule: Rule, c: str) -> list[tuple[str, str]]:
    """Every subscription that there may be, in order; the key tells nothing but its place."""
    return sorted({(o, "") for o in world if o[0] == "o"} if rule.kind != "own" else set(_own(world, c)))


def _own(world: World, c: str) -> Iterator[tuple[str, str]]:
    for o in world:
        for value in world[o].values() if o[0] == "o" else ():
            if value[0] == c:
                yield o, str(row_key("own", value, None))


def _sub(rule: Rule, c: str, o: str, key: str) -> tuple[str, ...]:
    return ("row", key) if rule.kind == "own" else ("sub", c, o)


def subscriptions(world: World, rule: Rule, c: str) -> Program:
    """Read one by one: a page each."""
    found = []
    for o, key in _left_items(world, rule, c):
        sub = yield "get", _sub(rule, c, o, key)
        if sub:
            found.append((o, key or sub))
    return found


def freshen(world: World, rule: Rule, o: str, key: str | None, c: str, since: int) -> Program:
    """Brings the right part of o's row up to `since`."""
    content = world[c][since]

    def older(row: Any) -> bool:
        return bool(
            row
            and (row[2] == c or not rule.has("foreign key the same"))
            and (row[3] < since or not rule.has("right version older"))
        )

    if rule.kind in ("left", "own", "inner") and (rule.kind != "inner" or content is not None) and key:
        upserts = rule.kind != "inner" and not rule.has("row must exist")
        failed, row = yield (
            "write",
            (
                ("row", key),
                lambda row: older(row) or (upserts and not row),
                lambda row: (*row[:3], since) if row else (o, max(world[o]), c, since),
            ),
        )
        if rule.kind != "inner" or not failed or row:
            return
    while rule.kind in ("inner", "both"):
        ledger = yield "get", ("ledger", o)
        version, shown, held = ledger or (0, None, 0)
        value = world[o].get(version, (None, None))
        if (value[0] != c and rule.has("ledger's foreign key")) or not value[0]:
            return
        if held >= since and rule.has("ledger holds newer"):
            return
        new = row_key(rule.kind, value, content)
        free: Callable[[Any], bool] = (
            (lambda row: not row or row[3] < since) if rule.kind == "inner" and rule.has("row older too") else _any
        )
        actions = [(("ledger", o), _same(rule, ledger), _be((version, new, since)))]
        actions += [(("row", shown), free, _gone)] if shown and shown != new else []
        actions += [(("row", new), free, _be((o, version, value[0], since)))] if new else []
        failed, _ = yield "write", *actions
        if not failed or failed[0] != "ledger":
            return


def _same(rule: Rule, read: Any) -> Callable[[Any], bool]:
    return (lambda old: bool(old == read)) if rule.has("ledger as read") else _any


def _any(old: Any) -> bool:
    return True


def _gone(old: Any) -> None:
    return None


def _be(value: Any) -> Callable[[Any], Any]:
    return lambda old: value


def is_right(world: World, rule: Rule, table: dict[Any, Any]) -> bool:
    """Whether rows and subscriptions are what the newest versions determine."""
    wanted: dict[Any, Any] = {}
    for o, versions in world.items():
        if o[0] != "o":
            continue
        v = max(versions)
        fk, key = versions[v]
        content = world[fk][max(world[fk])] if fk else None
        if fk and key and rule.kind != "own":
            wanted["sub", fk, o] = key
        if shown := row_key(rule.kind, versions[v], content):
            wanted["row", shown] = (o, v, fk, content)
    found = {
        key: (*value[:3], world[value[2]].get(value[3]) if value[2] else None) if key[0] == "row" else value
        for key, value in table.items()
        if key[0] in ("row", "sub")
    }
    return found == wanted


def perform(step: Any, table: dict[Any, Any]) -> tuple[dict[Any, Any], Any]:
    """The tables after a step, and its answer."""
    if step[0] == "get":
        return table, table.get(step[1])
    for key, condition, _ in step[1:]:
        if not condition(table.get(key)):
            return table, (key, table.get(key))
    after = table | {key: new(table.get(key)) for key, _, new in step[1:]}
    return {key: value for key, value in after.items() if value is not None}, (None, table.get(step[1][0]))


def explore(world: World, rule: Rule, carried: Sequence[Delivery], zombies: Sequence[Delivery]) -> list[str]:
    """The shortest way to a wrong ending, as text; empty if there is none."""
    work: list[Delivery] = [*carried, *zombies]
    things: list[Any] = []
    numbers: dict[Any, int] = {}

    def number(thing: Any) -> int:
        if numbers.setdefault(thing, len(things)) == len(things):
            things.append(thing)
        return numbers[thing]

    @cache
    def next_step(delivery: Delivery, answers: tuple[Any, ...]) -> Any:
        program = (left if delivery[0][0] == "o" else right)(world, rule, *delivery)
        try:
            step = None
            for answer in (None, *answers):
                step = program.send(answer)
            return step
        except StopIteration as end:
            return end.value

    @cache
    def move(delivery: Delivery, place: int, table: int) -> tuple[int, int | None, str]:
        step, before = next_step(delivery, things[place]), dict(things[table])
        after, answer = perform(step, before)
        said = f"reads {step[1]}: {answer}" if step[0] == "get" else f"refused by {answer}" if answer[0] else ""
        text = said or f"writes {dict(after.items() - before.items())}, removes {list(before.keys() - after.keys())}"
        answers = (*things[place], answer)
        then = next_step(delivery, answers)
        following = None if then is None else number(() if then == AGAIN else answers)
        return number(frozenset(after.items())), following, text

    start = (number(frozenset()), *[number(())] * len(work))
    came: dict[Any, Any] = {start: None}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        table, *places = node
        ended = not any(place is not None for place in places[: len(carried)])
        if ended and not is_right(world, rule, dict(things[table])):
            way: list[str] = []
            while came[node]:
                node, i = came[node]
                who = f"{work[i][0]}@{work[i][1]}" + " zombie" * (i >= len(carried))
                way.insert(0, f"{who:16} {move(work[i], node[i + 1], node[0])[2]}")
            return [f"{rule} {work}", *way]
        for i, place in enumerate(places):
            if place is not None:
                after, then, _ = move(work[i], place, table)
                new = (after, *places[:i], then, *places[i + 1 :])
                if new not in came:
                    came[new] = node, i
                    queue.append(new)
    return []


def history(line: str) -> World:
    """`o1=c1/k1,-/k1,-/- c1=A,-`: each item's versions in turn, foreign key and key of left ones, content of right
    ones; `-` none or deleted, `_` no such version."""

    def value(name: str, word: str) -> Any:
        if name[0] == "o":
            fk, key = word.split("/")
            return fk.strip("-") or None, key.strip("-") or None
        return word.strip("-") or None

    return {
        name: {v: value(name, word) for v, word in enumerate(words.split(","), 1) if word != "_"}
        for name, words in (item.split("=") for item in line.split())
    }


def foldings(world: World) -> Iterator[list[Delivery]]:
    """Each change by itself; and each item's changes folded into one delivery."""
    alone = [(item, (v,)) for item, versions in world.items() for v in versions]
    yield alone
    for item, versions in world.items():
        if len(versions) > 1:
            yield [*(each for each in alone if each[0] != item), (item, tuple(versions))]


def zombies_of(world: World) -> list[Delivery]:
    """Each change by itself, and each item's first two folded."""
    found: list[Delivery] = [(item, (v,)) for item, versions in world.items() for v in versions]
    return found + [(item, tuple(versions)[:2]) for item, versions in world.items() if len(versions) > 2]
