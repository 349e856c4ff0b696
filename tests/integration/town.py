"""A stack with derive, attached to a table of 20 orders, for the commands that feed it."""

from distributary.consumer.consume import Deployment
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive.factory import rebuilder, reconciler
from distributary.replicate import MultiActive
from distributary.replicate.factory import reconciler as of_replica
from distributary.replicate.multi_active.factory import between
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.built import derive, mirror
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.fakes.stack import Lambda, clients
from tests.simulation.mesh import NOTHING
from tests.unit.branches import Bucket

ORDER = Entity(name="order", keys=("id",), attributes=("day", "total"))
VIEWS = [
    Projection(name="order", of=ORDER, pk="ORDER#{id}", sk="ORDER"),
    Aggregate(name="sales", of=ORDER, pk="SALES#{day}", sk="TOTAL", sum={"revenue": "total"}),
]
SCHEMAS = {
    "orders": {"id": "S"},
    "derived": {"pk": "S", "sk": "S"},
    "ledger": {"id": "S"},
    "tombstones": {"id": "S"},
    "replica": {"id": "S"},
}
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-20T09:12:44.017"


class Service(DynamoDB):
    """Describes the source, and scans it in segments and pages of three."""

    def describe_table(self, *, TableName):
        return {
            "Table": {
                "TableName": TableName,
                "KeySchema": [{"AttributeName": name, "KeyType": "HASH"} for name in SCHEMAS[TableName]],
                "ItemCount": len(self.state[TableName]),
                "TableSizeBytes": 4096,
                "LatestStreamArn": STREAM,
            }
        }

    def scan(self, *, TableName, Segment=0, TotalSegments=1, ExclusiveStartKey=None, **more):
        if TableName != "orders":
            start = {"ExclusiveStartKey": ExclusiveStartKey} if ExclusiveStartKey else {}
            return super().scan(TableName=TableName, Segment=Segment, TotalSegments=TotalSegments, **start, **more)
        names = more.get("ExpressionAttributeNames")
        own = sorted(super().scan(TableName=TableName)["Items"], key=lambda item: item["id"]["S"])[
            Segment::TotalSegments
        ]
        begun = [item for item in own if ExclusiveStartKey is None or item["id"]["S"] > ExclusiveStartKey["id"]["S"]]
        page = [{"id": item["id"]} for item in begun[:3]] if names else begun[:3]
        return {"Items": page, **({"LastEvaluatedKey": {"id": page[-1]["id"]}} if len(begun) > 3 else {})}


class Town:
    """A stack with derive and a mirror, attached to a table of 20 orders."""

    def __init__(self):
        self.service = Service(SCHEMAS)
        for n in range(20):
            self.service.put_item(TableName="orders", Item=order(n))
        self.branch = derive(VIEWS, self.service)
        self.mirror = mirror(self.service)
        mirrored = of_replica(self.mirror, lambda *_, **__: self.service, lambda: "orders", 0)
        self.functions = Lambda(
            {
                "derive": self.deployment(reconciler(self.branch, lambda: "orders", 0)),
                "replicate": Deployment(self.mirror, *around("replicate"), mirrored),
            },
            f"{STREAM}=0",
        )
        self.clients = clients("parking", None, self.functions, dynamodb=self.service)

    def written_to_with(self, region, rule):
        """The source is written to in another region, too: its tables there."""
        away, tables = Service(SCHEMAS), dict.fromkeys(("eu-west-1", region), ("orders", "tombstones"))
        declared = MultiActive(regions=tuple(tables), rule=rule)
        regions = {"eu-west-1": self.service, region: away}
        branch = between(declared, regions, tables, 7, REPLICA_VERSION, None, Serial())
        function = Deployment(branch, *around("replicate"), of_replica(branch, *NOTHING, 0))
        self.functions.functions["replicate"] = function
        return away

    def deployment(self, reconcile):
        rebuild = rebuilder(self.branch, reconcile, lambda: "orders")
        return Deployment(self.branch, *around("derive"), reconcile, rebuild)

    def deploy(self, views):
        """Another version of the function."""
        self.branch = derive(views, self.service)
        self.functions.functions["derive"] = self.deployment(reconciler(self.branch, lambda: "orders", 0))
        self.functions.version = str(int(self.functions.version) + 1)

    def rows(self):
        rows = self.service.state["derived"]
        return sum(pk.startswith("ORDER#") for pk, _ in rows), int(
            rows.get(("SALES#mon", "TOTAL"), NONE)["revenue"]["N"]
        )


def around(name):
    """What surrounds a branch in its function."""
    return Parking(Bucket(), "parking", name, Parallel(1)), Telemetry(name), Streams(0)


NONE = {"revenue": {"N": "0"}}


def fields(declared):
    """As they were given."""
    return {name: getattr(declared, name) for name in declared.__dataclass_fields__}


def order(n, total=2):
    return {"id": {"S": f"o{n:02}"}, "day": {"S": "mon"}, "total": {"N": str(total)}}
