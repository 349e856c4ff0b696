"""What each channel asks of its service, and what it makes of each answer."""

import json

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.welcome.channels import Connections, EventBridge, MaybeSent, Ses, Sms, Topic
from distributary.welcome.messages import Message
from distributary.welcome.settings import WelcomeSettings
from tests.fakes.answers import refusal
from tests.replaced import replace
from tests.unit.test_settings import GOOD

MESSAGE = Message(
    "welcome|user_id=S:u-1", "welcome", "ada@example.com", "Hello, Zoë", "text", "<p>html</p>", tags={"kind": "welcome"}
)
SETTINGS = WelcomeSettings.load(GOOD[WelcomeSettings])
BARE = WelcomeSettings.load(
    {**GOOD[WelcomeSettings], "TOPIC_ARN": "", "EVENT_BUS": "", "REPLY_TO": "", "SMS_CALLING_CODES": ""}
)


class Service:
    """Keeps what it is asked, and answers or raises what it was told to."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def __getattr__(self, operation):
        def called(**arguments):
            self.asked.append((operation, arguments))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return called


def message_for(channel):
    return replace(MESSAGE, to="+441632960960") if channel is Sms else MESSAGE


def connected(channel, answer, settings=SETTINGS):
    service = Service(answer)
    return channel.connect(Connections(settings, lambda name: service)), service


def test_ses_sends_text_and_html_with_reply_address_tags_and_configuration_set():
    channel, service = connected(Ses, {"MessageId": "m-1"})
    assert channel.send(MESSAGE) == "m-1"
    ((operation, asked),) = service.asked
    assert operation == "send_email"
    assert asked == {
        "FromEmailAddress": "hello@example.com",
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "ReplyToAddresses": ["help@example.com"],
        "ConfigurationSetName": "distributary-welcome",
        "EmailTags": [{"Name": "kind", "Value": "welcome"}],
        "Content": {
            "Simple": {
                "Subject": {"Data": "Hello, Zoë", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "text", "Charset": "UTF-8"},
                    "Html": {"Data": "<p>html</p>", "Charset": "UTF-8"},
                },
            }
        },
    }


def test_ses_fills_a_stored_template():
    channel, service = connected(Ses, {"MessageId": "m-1"}, BARE)
    channel.send(Message("i", "r", "ada@example.com", stored="hello", values={"name": "Zoë"}))
    template = service.asked[0][1]["Content"]["Template"]
    assert (template["TemplateName"], json.loads(template["TemplateData"])) == ("hello", {"name": "Zoë"})
    assert "ReplyToAddresses" not in service.asked[0][1]


def test_a_topic_gets_subject_and_text_and_a_phone_the_text():
    topic, service = connected(Topic, {"MessageId": "m-1"})
    assert topic.send(MESSAGE) == "m-1"
    assert service.asked == [("publish", {"TopicArn": SETTINGS.topic_arn, "Message": "text", "Subject": "Hello, Zo?"})]
    phone, service = connected(Sms, {"MessageId": "m-2"})
    phone.send(Message("i", "r", "+441632960960", "subject", "text"))
    kind = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
    asked = {"PhoneNumber": "+441632960960", "Message": "text", "MessageAttributes": kind}
    assert service.asked == [("publish", asked)]


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        ("+33612345678", "begins with none of WelcomeSmsCallingCodes"),
        ("+8811234567", "begins with none of WelcomeSmsCallingCodes"),
        ("+449011234567", "a satellite or premium-rate range"),
        ("+447012345678", "a satellite or premium-rate range"),
        ("+19005551234", "a satellite or premium-rate range"),
    ],
)
def test_no_text_goes_to_a_country_or_range_that_is_not_allowed(number, cause):
    phone, service = connected(Sms, {"MessageId": "m-2"})
    with pytest.raises(Rejected, match=cause):
        phone.send(Message("i", "r", number, "subject", "text"))
    assert service.asked == []


def test_an_allowed_code_does_not_allow_satellites():
    phone, _ = connected(Sms, {"MessageId": "m"}, replace(SETTINGS, sms_calling_codes=("+8",)))
    with pytest.raises(Rejected, match="satellite"):
        phone.send(Message("i", "r", "+8811234567", "subject", "text"))


def test_an_event_carries_the_message_and_the_same_id_each_time():
    channel, service = connected(EventBridge, {"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]})
    assert channel.send(MESSAGE) == "e-1"
    ((_, asked),) = service.asked
    (entry,) = asked["Entries"]
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
        "default",
        "distributary.welcome",
        "welcome",
    )
    assert json.loads(entry["Detail"])["id"] == MESSAGE.id


@pytest.mark.parametrize("channel", [Topic, EventBridge, Sms])
def test_a_channel_whose_setting_is_missing_stops_the_start(channel):
    with pytest.raises(ConfigError, match="Welcome"):
        connected(channel, {}, BARE)


def answered(code, status=400):
    return refusal("Send", code, "about ada@example.com", status)


LOST = ReadTimeoutError(endpoint_url="x")
NEVER_LEFT = [ConnectTimeoutError(endpoint_url="x"), EndpointConnectionError(endpoint_url="x")]


@pytest.mark.parametrize(
    ("channel", "code", "meaning"),
    [
        *((Ses, code, Rejected) for code in ("MessageRejected", "BadRequestException")),
        *((Ses, code, Unavailable) for code in ("NotFoundException", "MailFromDomainNotVerifiedException")),
        *((Ses, code, Unavailable) for code in ("TooManyRequestsException", "LimitExceededException")),
        *((Ses, code, Unavailable) for code in ("SendingPausedException", "AccountSuspendedException")),
        (Ses, "AccessDeniedException", Unavailable),
        *((channel, "InvalidParameter", Rejected) for channel in (Topic, Sms)),
        *((channel, "Throttled", Unavailable) for channel in (Topic, Sms)),
        *((channel, "AuthorizationError", Unavailable) for channel in (Topic, Sms)),
        (Sms, "OptedOut", Rejected),
        (EventBridge, "ThrottlingException", Unavailable),
        (EventBridge, "ResourceNotFoundException", Unavailable),
        (EventBridge, "ValidationException", Rejected),
    ],
)
def test_what_a_refusal_means(channel, code, meaning):
    sender, _ = connected(channel, answered(code))
    with pytest.raises(meaning) as caught:
        sender.send(message_for(channel))
    assert code in str(caught.value)
    assert "ada@" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("MessageRejected", "Email address is not verified. The following identities failed the check: hello@x.com"),
        ("BadRequestException", "Template welcome does not exist."),
        ("BadRequestException", "Configuration set <mine> does not exist."),
    ],
)
def test_ses_refusals_that_a_deployment_causes_are_tried_again(code, text):
    sender, _ = connected(Ses, refusal("SendEmail", code, text, 400))
    with pytest.raises(Unavailable):
        sender.send(MESSAGE)


@pytest.mark.parametrize("channel", [Ses, Topic, Sms, EventBridge])
@pytest.mark.parametrize("error", [LOST, answered("InternalFailure", 500), answered("ServiceUnavailable", 503)])
def test_what_broke_off_may_have_been_sent(channel, error):
    sender, _ = connected(channel, error)
    with pytest.raises(MaybeSent):
        sender.send(message_for(channel))


@pytest.mark.parametrize("channel", [Ses, Topic, Sms, EventBridge])
@pytest.mark.parametrize("error", NEVER_LEFT)
def test_what_never_left_was_not_sent(channel, error):
    sender, _ = connected(channel, error)
    with pytest.raises(Unavailable):
        sender.send(message_for(channel))


@pytest.mark.parametrize(
    ("code", "meaning"),
    [("ThrottlingException", Unavailable), ("MalformedDetail", Rejected), ("InternalFailure", MaybeSent)],
)
def test_an_entry_that_is_refused_inside_an_answer_is_refused(code, meaning):
    entry = {"ErrorCode": code, "ErrorMessage": "about ada@example.com"}
    sender, _ = connected(EventBridge, {"FailedEntryCount": 1, "Entries": [entry]})
    with pytest.raises(meaning) as caught:
        sender.send(MESSAGE)
    assert "ada@" not in str(caught.value)


EVENT = "0123456789abcdef0123456789abcdef"


def test_ses_tags_a_message_with_the_event_that_it_is_about():
    channel, service = connected(Ses, {"MessageId": "m-1"})
    channel.send(replace(MESSAGE, event=EVENT))
    tags = service.asked[0][1]["EmailTags"]
    assert {each["Name"]: each["Value"] for each in tags} == {"distributary_event": EVENT, "kind": "welcome"}


@pytest.mark.parametrize("event", ["", "a b", "ä", "x" * 257])
def test_an_event_that_ses_would_refuse_as_a_tag_is_left_out(event):
    channel, service = connected(Ses, {"MessageId": "m-1"})
    channel.send(replace(MESSAGE, event=event, tags={}))
    assert "EmailTags" not in service.asked[0][1]


def test_a_tag_of_the_rule_with_the_same_name_is_the_rules():
    channel, service = connected(Ses, {"MessageId": "m-1"})
    channel.send(replace(MESSAGE, event=EVENT, tags={"distributary_event": "own"}))
    assert service.asked[0][1]["EmailTags"] == [{"Name": "distributary_event", "Value": "own"}]


def test_a_topic_gets_the_event_as_an_attribute():
    channel, service = connected(Topic, {"MessageId": "m-1"})
    channel.send(replace(MESSAGE, event=EVENT))
    attribute = {"DataType": "String", "StringValue": EVENT}
    assert service.asked[0][1]["MessageAttributes"] == {"distributary_event": attribute}


def test_an_event_on_the_bus_names_the_change():
    channel, service = connected(EventBridge, {"Entries": [{"EventId": "e-1"}]})
    channel.send(replace(MESSAGE, event=EVENT))
    (entry,) = service.asked[0][1]["Entries"]
    assert json.loads(entry["Detail"])["event"] == EVENT
