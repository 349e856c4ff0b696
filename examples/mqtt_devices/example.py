"""An MQTT broker's table: presence of devices, messages per hour, a search in payloads, all events in an archive."""

from pathlib import Path

from examples.mqtt_devices import recompute, workload
from examples.mqtt_devices.writer import TABLE
from local.examples import Example, Tier

HERE = Path(__file__).parent

EXAMPLE = Example(
    tables=(TABLE,),
    tiers=(Tier("devices", {"derive": HERE / "derive", "index": HERE / "index"}, also=("archive",)),),
    indexes=("device-messages",),
    document_name=("id",),
    archived=recompute.counted_event,
    write=workload.run,
    expected=recompute.expected,
)
