"""A declaration of the wrong type is one line that says what to write, before anything uses it."""

from pathlib import Path

import pytest

from cli import project as projects
from cli.errors import DeclarationFaults
from cli.shapes import faults

ROOT = Path(__file__).resolve().parents[2]
HEADS = {
    "derive": "from distributary.derive import *\nA = dict(name='a', of=E, pk='A#{id}', sk='B')\n",
    "index": "from distributary.index import *\nA = dict(name='a', of=E, id='{id}')\n",
    "welcome": "from distributary.welcome import *\nT = {'en': Content('a', 'b')}\nA = dict(name='a', of=E, to='x')\n",
    "replicate": "from distributary.replicate import *\n",
}
ENTITY = "from distributary.derive import Entity\nE = Entity(name='e', keys=('id',), attributes=('x',))\n"


def faults_of(tmp_path, function, text):
    file = tmp_path / "functions" / function / f"{projects.DECLARES[function].module}.py"
    file.parent.mkdir(parents=True)
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    file.write_text(ENTITY + HEADS[function] + text)
    with pytest.raises(DeclarationFaults) as found:
        projects.check(projects.find(tmp_path), [function])
    return [each.split(".py: ", 1)[1] for each in found.value.faults]


@pytest.mark.parametrize(
    ("function", "text", "says"),
    [
        ("derive", "VIEWS = Projection(**A)", "VIEWS is one Projection: put it into a list, VIEWS = [Projection(...)]"),
        (
            "derive",
            "VIEWS = None",
            "VIEWS is None: give a list of Projection or Aggregate or Latest or Earliest or Top or Join",
        ),
        (
            "derive",
            "VIEWS = [E]",
            "VIEWS has an Entity: give Projection or Aggregate or Latest or Earliest or Top or Join, with",
        ),
        ("derive", "VIEWS = [Projection]", "VIEWS has the class Projection: give "),
        ("derive", "VIEWS = [Projection(**{**A, 'of': 'e'})]", "Projection 'a': of is 'e': give an Entity"),
        ("derive", "VIEWS = [Projection(**A, where='x')]", "Projection 'a': where is 'x': give a function or None"),
        (
            "derive",
            "VIEWS = [Projection(**A, compute={'y': 'x'})]",
            "Projection 'a': compute is a dict: give a dict with",
        ),
        ("derive", "VIEWS = [Aggregate(**A, sum='x')]", "Aggregate 'a': sum is 'x': give a dict"),
        ("derive", "VIEWS = [Aggregate(**A, max={'x'})]", "Aggregate 'a': max is {'x'}: give a dict"),
        ("derive", "VIEWS = [Aggregate(**A, count=True)]", "Aggregate 'a': count is True: give a string or None"),
        ("derive", "VIEWS = [Latest(**A, by=5)]", "Latest 'a': by is 5: give a string or a function"),
        ("index", "INDEXES = Index(**A, fields={'x': {'type': 'text'}})", "INDEXES is one Index: put it into a list"),
        (
            "index",
            "INDEXES = [Index(**A, fields={'x': 'text'})]",
            "Index 'a': fields is a dict: give a dict with a mapping",
        ),
        ("index", "INDEXES = [Index(**A, fields=('x',))]", "Index 'a': fields is a tuple: give a dict with a mapping"),
        ("welcome", "RULES = Rule(**A, content=T)", "RULES is one Rule: put it into a list, RULES = [Rule(...)]"),
        ("welcome", "RULES = [Rule(**A, content=T['en'])]", "Rule 'a': content is a Content: give one content for"),
        ("welcome", "RULES = [Rule(**A, content={'en': 'Hi'})]", "Rule 'a': content is a dict: give one content for"),
        (
            "welcome",
            "RULES = [Rule(**A, content=T, on='INSERT')]",
            "Rule 'a': on is 'INSERT': give INSERTED, EXPIRED or",
        ),
        (
            "welcome",
            "RULES = [Rule(**A, content=T, channel='Sms')]",
            "Rule 'a': channel is 'Sms': give a channel's class",
        ),
        ("replicate", "REPLICA = [Mirror()]", "REPLICA has a list: give Mirror or MultiActive, with its options"),
        ("replicate", "REPLICA = None", "REPLICA has None: give Mirror or MultiActive, with"),
        ("replicate", "REPLICA = Mirror(of=E, mask={'x': '-'})", "Mirror: mask is a dict: give a dict with a function"),
        (
            "replicate",
            "REPLICA = MultiActive(regions=('a', 'b'), rule='x')",
            "MultiActive: rule is 'x': give a rule, such",
        ),
    ],
)
def test_a_declaration_of_the_wrong_type_says_what_to_write(tmp_path, function, text, says):
    (fault,) = faults_of(tmp_path, function, text)
    assert fault.startswith(says)


def test_every_wrong_type_of_every_declaration_is_named_at_once(tmp_path):
    text = "VIEWS = [Aggregate(**A, sum='x', max='y'), Latest(**A, by=1), 7]"
    assert len(faults_of(tmp_path, "derive", text)) == 4


OF_MERGED = "MultiActive(regions=('a', 'b'), rule=by_attribute('x', 'seconds'))"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("derive", "VIEWS = (Projection(**A, each=lambda item: (), rename={'x': 'y'}, compute={'z': len}),)"),
        ("derive", "VIEWS = [Aggregate(**A, count='n', min={'m': len})]"),
        ("derive", "VIEWS = [Latest(**A, by=len, keep=['x'])]"),
        ("index", "INDEXES = [Index(**A, fields={'x': Field(mapping={'type': 'text'}, of=len)})]"),
        ("welcome", "RULES = [Rule(**A, content=T, on=became('x', 1), channel=Topic, where=bool, tags={'x': 'y'})]"),
        ("replicate", "REPLICA = " + OF_MERGED),
        ("replicate", "REPLICA = MultiActive(regions=['a', 'b'], rule=last_writer())"),
    ],
)
def test_a_declaration_of_the_right_type_is_left_to_its_slice(tmp_path, function, text):
    names = {}
    exec(ENTITY + HEADS[function] + text, names)
    name = projects.DECLARES[function].name
    assert faults(name, names[name]) == []


@pytest.mark.parametrize("function", projects.DECLARES)
def test_what_the_project_itself_declares_has_the_right_types(function):
    own = ROOT / "local/demo/multi_active" if function == "replicate" else ROOT / "functions" / function
    assert projects.faults(projects.Found(ROOT, {function: own}), function) == []
