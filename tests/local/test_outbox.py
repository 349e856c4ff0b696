"""Mail that is sent to the embedded SES can be read as files."""

import pytest

from local import outbox
from local.aws import Aws
from local.emulators import embedded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mail") / "outbox"


@pytest.fixture(scope="module")
def ses(folder):
    with embedded(outbox=folder) as endpoints:
        yield Aws.at_emulator(endpoints.aws, "us-east-1").client("sesv2")


def send(ses, to, subject, **bodies):
    body = {kind: {"Data": text} for kind, text in bodies.items()}
    return ses.send_email(
        FromEmailAddress="shop@example.com",
        Destination={"ToAddresses": [to]},
        Content={"Simple": {"Subject": {"Data": subject}, "Body": body}},
    )["MessageId"]


def test_each_mail_is_a_text_and_its_html_beside_it(ses, folder):
    sent = send(ses, "ada@example.com", "Welcome, Ada", Text="Hello Ada", Html="<p>Hello Ada</p>")
    text = outbox.find(folder, sent)
    assert text.read_text() == "To: ada@example.com\nSubject: Welcome, Ada\n\nHello Ada"
    assert text.with_suffix(".html").read_text() == "<p>Hello Ada</p>"


def test_a_mail_without_html_has_one_file(ses, folder):
    text = outbox.find(folder, send(ses, "bela@example.com", "Hi", Text="Hello"))
    assert not text.with_suffix(".html").exists()


def test_the_same_mail_twice_is_two_mails(ses, folder):
    first, second = (send(ses, "cleo@example.com", "Hi", Text="Hello") for _ in range(2))
    assert outbox.find(folder, first) != outbox.find(folder, second)
    assert len(list(folder.glob("*cleo@example.com*.txt"))) == 2


def test_an_address_never_leads_out_of_the_outbox(ses, folder):
    text = outbox.find(folder, send(ses, '"../../x/y"@example.com', "Hi", Text="Hello"))
    assert text.parent == folder
    assert text.read_text().startswith('To: "../../x/y"@example.com\n')


def test_a_mail_that_is_not_there_is_not_found(ses, folder):
    assert outbox.find(folder, "ministack-00000000-0000-0000-0000-000000000000") is None
