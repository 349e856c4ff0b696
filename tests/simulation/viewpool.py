"""Views of every kind, and what each must hold: recomputed from the items, without the views' code."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from distributary.derive import Aggregate, Earliest, Entity, Latest, Projection, Top, type_is

ITEM = Entity(name="item", keys=("id",), attributes=("type", "status", "total", "tags", "when", "name"))
KIND = Entity(name="kind", keys=ITEM.keys, attributes=ITEM.attributes, where=type_is("a"))

Image = dict[str, Any]
Rows = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Pooled:
    """A declaration; `wants` says which images it is about, `takes` which of these it can take, `rows` what stands."""

    declared: Any
    rows: Callable[[list[Image]], Rows]
    wants: Callable[[Image], bool] = lambda image: True
    takes: Callable[[Image], bool] = lambda image: True


def escaped(text: str, separators: str = "#") -> str:
    """As a key that uses these separators holds it."""
    text = text.replace("%", "%25")
    return text.replace("#", "%23") if separators else text


def numeric(image: Image) -> bool:
    return "total" not in image or "N" in image["total"]


def is_a(image: Image) -> bool:
    return image["type"] == {"S": "a"}


def total(image: Image) -> Decimal | None:
    return Decimal(image["total"]["N"]) if "total" in image else None


def projected(images: Iterable[Image]) -> Rows:
    return {("ITEM", image["id"]["S"]): {"name": image["name"]["S"]} for image in images}


def by_status(images: Iterable[Image]) -> Rows:
    return {
        (f"STATUS#{escaped(image['status']['S'])}", image["id"]["S"]): {"name": image["name"]["S"]}
        for image in images
        if "status" in image
    }


def by_tag(images: Iterable[Image]) -> Rows:
    return {
        (f"TAG#{escaped(tag)}", image["id"]["S"]): {"label": image["name"]["S"]}
        for image in images
        for tag in image.get("tags", {"SS": []})["SS"]
    }


def letters(images: Iterable[Image]) -> Rows:
    return {
        ("LETTER", f"{letter}#{i['id']['S']}"): {} for i in images for letter in i["name"]["S"] * 2 + i["type"]["S"]
    }


def grouped(images: Iterable[Image]) -> dict[str, list[Image]]:
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if "status" in image:
            groups[image["status"]["S"]].append(image)
    return groups


def figures(images: list[Image]) -> dict[str, Any]:
    totals = [number for image in images if (number := total(image)) is not None]
    row: dict[str, Any] = {
        "items": Decimal(len(images)),
        "revenue": sum(totals, Decimal()),
        "names": Decimal(len({image["name"]["S"] for image in images})),
        "amounts": Decimal(len(set(totals))),
    }
    if totals:
        with localcontext(prec=38):
            mean = sum(totals) / len(totals)
        row |= {"least": min(totals), "most": max(totals), "mean": mean}
    return row


def sums(images: Iterable[Image]) -> Rows:
    return {("SUM", escaped(status, "")): figures(each) for status, each in grouped(images).items()}


def spread(images: list[Image]) -> Rows:
    if not images:
        return {}
    row = figures(images)
    return {("ALL", "ALL"): {name: row[name] for name in ("items", "revenue", "least", "most") if name in row}}


def newest(images: Iterable[Image]) -> Rows:
    rows = {}
    for status, each in grouped(images).items():
        timed = [(Decimal(image["when"]["N"]), image["id"]["S"], image) for image in each if "when" in image]
        if timed:
            _, _, image = max(timed, key=lambda entry: entry[:2])
            rows["LATEST", escaped(status, "")] = {"item": image["id"]["S"], "name": image["name"]["S"]}
    return rows


def earliest(images: Iterable[Image]) -> Rows:
    rows = {}
    for status, each in grouped(images).items():
        timed = [(Decimal(image["when"]["N"]), image["id"]["S"], image) for image in each if "when" in image]
        if timed:
            _, id, image = min(timed, key=lambda entry: entry[:2])
            rows["EARLIEST", escaped(status, "")] = {"item": id, "name": image["name"]["S"]}
    return rows


def best(images: Iterable[Image]) -> Rows:
    """The two greatest of each status."""
    rows = {}
    for status, each in grouped(images).items():
        timed = [(Decimal(image["when"]["N"]), image["id"]["S"], image) for image in each if "when" in image]
        if ordered := sorted(timed, key=lambda entry: entry[:2], reverse=True)[:2]:
            entries = [{"id": id, "name": image["name"]["S"]} for _, id, image in ordered]
            rows["BEST", escaped(status, "")] = {"top": entries}
    return rows


def least_letters(images: Iterable[Image]) -> Rows:
    """The three least of all letters, each as often as an item's texts have it."""
    found = [
        (letter, image["id"]["S"], at)
        for image in images
        for at, letter in enumerate(image["name"]["S"] * 2 + image["type"]["S"])
    ]
    entries = [{"letter": letter, "of": id} for letter, id, _ in sorted(found)[:3]]
    return {("LEAST", "ALL"): {"three": entries}} if entries else {}


def per_rank(images: Iterable[Image]) -> Rows:
    """Groups whose rows show nothing: their entries are rows that a reader asks for."""
    return {("RANKED", escaped(status, "")): {} for status, each in grouped(images).items() if _timed(each)}


def _timed(images: list[Image]) -> bool:
    return any("when" in image for image in images)


def signs(images: Iterable[Image]) -> Rows:
    """Groups by a computed sign, with figures over some of their items."""
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if "when" in image:
            groups["past" if Decimal(image["when"]["N"]) < 0 else "present"].append(image)
    return {
        ("SIGN", sign): {
            "items": Decimal(len(each)),
            "named_x": Decimal(sum(image["name"]["S"] == "x" for image in each)),
            "of_a": sum((total(image) or Decimal() for image in each if is_a(image)), Decimal()),
        }
        for sign, each in groups.items()
    }


def per_tag(images: Iterable[Image]) -> Rows:
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        for tag in image.get("tags", {"SS": []})["SS"]:
            groups[tag].append(image)
    rows = {}
    for tag, each in groups.items():
        totals = [number for image in each if (number := total(image)) is not None]
        row = {"items": Decimal(len(each)), "revenue": sum(totals, Decimal())} | (
            {"most": max(totals)} if totals else {}
        )
        rows["PER-TAG", escaped(tag, "")] = row
    return rows


def per_letter(images: Iterable[Image]) -> Rows:
    """An item is in a group as often as its texts have the letter."""
    counts: dict[str, int] = defaultdict(int)
    for image in images:
        for letter in image["name"]["S"] * 2 + image["type"]["S"]:
            counts[letter] += 1
    return {("PER-LETTER", letter): {"lines": Decimal(many)} for letter, many in counts.items()}


def newest_of_tag(images: Iterable[Image]) -> Rows:
    rows: dict[str, tuple[Any, Image]] = {}
    for image in images:
        for tag in image.get("tags", {"SS": []})["SS"] if "when" in image else ():
            entry = (Decimal(image["when"]["N"]), image["id"]["S"]), image
            rows[tag] = max(rows.get(tag, entry), entry, key=lambda each: each[0])
    return {
        ("OF-TAG", escaped(tag, "")): {"item": image["id"]["S"], "tag_and_name": f"{tag}/{image['name']['S']}"}
        for tag, (_, image) in rows.items()
    }


def sign(item: Any) -> str | None:
    return None if item.get("when") is None else "past" if item["when"] < 0 else "present"


def pool(keep: bool, shards: int) -> list[Pooled]:
    """One of each kind."""
    expiry: Any = {"on_expiry": "keep" if keep else "remove"}
    status: Any = {"pk": "SUM", "sk": "{status}"}
    return [
        Pooled(Projection(name="fixed", of=ITEM, pk="ITEM", sk="{id}", keep=("name",), **expiry), projected),
        Pooled(
            Projection(name="moving", of=KIND, pk="STATUS#{status}", sk="{id}", keep=("name",), **expiry),
            by_status,
            is_a,
        ),
        Pooled(
            Projection(
                name="tags", of=ITEM, pk="TAG#{each}", sk="{id}", each="tags", rename={"name": "label"}, **expiry
            ),
            by_tag,
        ),
        Pooled(
            Projection(
                name="letters",
                of=KIND,
                pk="LETTER",
                sk="{each}#{id}",
                each=lambda item: list(str(item["name"]) * 2 + str(item["type"])),
                **expiry,
            ),
            letters,
            is_a,
        ),
        Pooled(
            Aggregate(
                name="sums",
                of=ITEM,
                **status,
                count="items",
                sum={"revenue": "total"},
                average={"mean": "total"},
                min={"least": "total"},
                max={"most": "total"},
                distinct={"names": "name", "amounts": "total"},
                **expiry,
            ),
            sums,
            takes=lambda image: "status" not in image or numeric(image),
        ),
        Pooled(
            Aggregate(
                name="spread",
                of=KIND,
                pk="ALL",
                sk="ALL",
                count="items",
                sum={"revenue": lambda item: item.get("total")},
                min={"least": "total"},
                max={"most": "total"},
                shards=shards,
                **expiry,
            ),
            spread,
            is_a,
            numeric,
        ),
        Pooled(
            Latest(
                name="newest",
                of=ITEM,
                pk="LATEST",
                sk="{status}",
                by="when",
                keep=("name",),
                rename={"id": "item"},
                **expiry,
            ),
            newest,
        ),
        Pooled(
            Earliest(
                name="earliest",
                of=ITEM,
                pk="EARLIEST",
                sk="{status}",
                by="when",
                keep=("name",),
                rename={"id": "item"},
                **expiry,
            ),
            earliest,
        ),
        Pooled(
            Top(name="best", n=2, of=ITEM, pk="BEST", sk="{status}", by="when", keep=("id", "name"), **expiry),
            best,
        ),
        Pooled(
            Top(
                name="least-letters",
                n=3,
                of=KIND,
                pk="LEAST",
                sk="ALL",
                by="each",
                each=lambda item: list(str(item["name"]) * 2 + str(item["type"])),
                least=True,
                into="three",
                compute={"letter": lambda item: item["each"]},
                rename={"id": "of"},
                **expiry,
            ),
            least_letters,
            is_a,
        ),
        Pooled(
            Top(name="ranked", n=2, of=ITEM, pk="RANKED", sk="{status}", by="when", rows=True, keep=("id",), **expiry),
            per_rank,
        ),
        Pooled(
            Aggregate(
                name="signs",
                of=ITEM,
                pk="SIGN",
                sk="{sign}",
                compute={"sign": sign},
                count="items",
                count_where={"named_x": lambda item: item["name"] == "x"},
                sum_where={"of_a": ("total", lambda item: item["type"] == "a")},
                **expiry,
            ),
            signs,
            takes=lambda image: "when" not in image or not is_a(image) or numeric(image),
        ),
        Pooled(
            Aggregate(
                name="per-tag",
                of=ITEM,
                pk="PER-TAG",
                sk="{each}",
                each="tags",
                count="items",
                sum={"revenue": "total"},
                max={"most": "total"},
                **expiry,
            ),
            per_tag,
            takes=lambda image: "tags" not in image or numeric(image),
        ),
        Pooled(
            Aggregate(
                name="per-letter",
                of=KIND,
                pk="PER-LETTER",
                sk="{each}",
                each=lambda item: list(str(item["name"]) * 2 + str(item["type"])),
                count="lines",
                **expiry,
            ),
            per_letter,
            is_a,
        ),
        Pooled(
            Latest(
                name="newest-of-tag",
                of=ITEM,
                pk="OF-TAG",
                sk="{each}",
                each="tags",
                by="when",
                rename={"id": "item"},
                compute={"tag_and_name": lambda item: f"{item['each']}/{item['name']}"},
                **expiry,
            ),
            newest_of_tag,
        ),
    ]
