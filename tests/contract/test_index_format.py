"""An index says of which format its documents are: older ones are upgraded, newer ones refused, never misread."""

import hashlib
import json

import pytest

from distributary.errors import ConfigError
from distributary.index.declarations import FORMAT
from distributary.index.opensearch import schema
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import Declared
from tests.contract.place import Place


@pytest.fixture(params=["osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def place(request):
    if request.param == "osmem":
        return Place(connect(request.getfixturevalue("emulators").opensearch, "none"))
    return Place(connect(request.getfixturevalue("opensearch_url"), "none"))


def hashed(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def meta(place, **changes):
    """What `_meta` holds, with these changes."""
    name = place.index.physical(0)
    found = place.search.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
    found["distributary"] |= changes
    place.search.indices.put_mapping(index=name, body={"_meta": found})
    return found["distributary"]


def as_0_1_made_it(place):
    name = place.index.physical(0)
    found = place.search.indices.get_mapping(index=name)[name]["mappings"]
    own = {"hash": hashed("as it was"), "fixed": hashed({})}
    place.search.indices.put_mapping(index=name, body={"_meta": {**found["_meta"], "distributary": own}})
    actions = [
        {"remove": {"index": name, "alias": place.index.write_alias(0)}},
        {"add": {"index": name, "alias": f"{name}-write"}},
    ]
    place.search.indices.update_aliases(body={"actions": actions})


def test_an_index_of_0_1_takes_no_writes_until_it_is_upgraded_and_verified(place):
    place.put("u-1")
    as_0_1_made_it(place)
    assert place.statuses(place.put("u-2", deliver=False)) == ["Failed"]
    with pytest.raises(ConfigError, match="has format 1, this code writes format 2: run `distributary index apply`"):
        place.verify()
    assert "brought from format 1 to 2: run `distributary verify index --repair`" in schema.apply(
        place.search, place.index, 0
    )
    assert not place.search.indices.exists_alias(name=f"{place.index.physical(0)}-write")
    assert place.verify(repair=True).status == 0
    assert place.shown() == {"USER#u-1": "u-1", "USER#u-2": "u-2"}
    assert "found as declared" in schema.apply(place.search, place.index, 0)


def test_an_upgrade_cut_off_before_the_aliases_is_finished_by_the_next(place):
    as_0_1_made_it(place)
    made = schema.definition(place.index)["mappings"]["_meta"]["distributary"]
    meta(place, **made)
    schema.apply(place.search, place.index, 0)
    assert not place.search.indices.exists_alias(name=f"{place.index.physical(0)}-write")
    assert place.statuses(place.put("u-1", deliver=False)) == ["Applied"]


def test_an_index_of_0_1_with_other_fixed_settings_is_still_refused(place):
    as_0_1_made_it(place)
    meta(place, fixed=hashed({"number_of_shards": 7}))
    with pytest.raises(ConfigError, match="made with other settings"):
        schema.apply(place.search, place.index, 0)


def test_code_of_0_1_refuses_an_index_of_this_format(place):
    """It compared both hashes, and knew of no format."""
    own = meta(place)
    assert own["hash"] != hashed([schema.definition(place.index)["mappings"], {}])
    assert own["fixed"] != hashed({})
    assert place.index.write_alias(0) != f"{place.index.physical(0)}-write"


def test_an_index_that_newer_code_made_is_refused_with_what_to_deploy(place):
    meta(place, format=FORMAT + 1, hash="theirs")
    for refused in (lambda: schema.apply(place.search, place.index, 0), place.verify):
        with pytest.raises(ConfigError, match="knows formats up to 2: deploy the version of Distributary that made it"):
            refused()


def test_a_move_of_readers_begins_at_no_index_of_another_format(place):
    as_0_1_made_it(place)
    with pytest.raises(ConfigError, match="has format 1"):
        schema.require_format(place.search, Declared.of([place.index], place.search, 0).physical)


def test_a_setting_that_can_change_is_changed_in_the_index_that_is_there(place):
    name = place.index.physical(0)
    for given in ({"refresh_interval": "7s"}, {"index": {"refresh_interval": "8s"}}):
        done = schema.apply(place.search, place.index, 0, {"settings": given})
        assert "found, and brought up to the declaration" in done
        kept = place.search.indices.get_settings(index=name)[name]["settings"]["index"]
        assert kept["refresh_interval"] == given.get("index", given)["refresh_interval"]


def test_an_index_of_others_is_brought_to_the_format_if_its_fields_agree(place):
    name, (field, *_) = place.index.physical(7), place.index.fields
    properties = {field: place.index.mappings()[field]}
    place.search.indices.create(index=name, body={"mappings": {"properties": properties}})
    assert "brought from format 1" in schema.apply(place.search, place.index, 7)
    assert place.search.indices.exists_alias(name=place.index.write_alias(7))
    place.search.indices.delete(index=name)
