"""Bounces and complaints come back through SES's configuration set, SNS and a function of its own."""

from fnmatch import fnmatch

from deploy.template import resolved
from distributary.welcome.messages import contents

STACK = {"AWS::StackName": "shop", "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "1"}


def test_messages_carry_the_configuration_set_whose_events_suppress_hears(template, mail):
    name = template.function("Welcome")["Environment"]["Variables"]["CONFIGURATION_SET"]
    assert resolved(name, {"AWS::StackName": "shop"}) == "shop-mail"
    assert resolved(mail.properties("ConfigurationSet")["Name"], {"Prefix": "shop"}) == "shop-mail"
    destination = mail.properties("BounceDestination")
    assert destination["ConfigurationSetName"] == {"Ref": "ConfigurationSet"}
    assert destination["EventDestination"]["MatchingEventTypes"] == ["bounce", "complaint"]
    assert destination["EventDestination"]["SnsDestination"] == {"TopicARN": {"Ref": "BounceTopicArn"}}
    (event,) = template.function("Suppress")["Events"].values()
    assert (event["Type"], event["Properties"]) == ("SNS", {"Topic": {"Ref": "BounceTopic"}})


def test_ses_is_ready_before_the_function_that_sends(template, mail, root):
    nested = template.document["Resources"]["WelcomeMail"]
    assert (nested["Condition"], nested["DependsOn"]) == ("WelcomeDeployed", "BounceTopicPolicy")
    assert template.document["Resources"]["WelcomeFunction"]["DependsOn"] == "WelcomeMail"
    assert (root / nested["Properties"]["TemplateURL"]).samefile(root / "ses.yaml")
    assert nested["Properties"]["Parameters"] == {
        "Prefix": {"Ref": "AWS::StackName"},
        "BounceTopicArn": {"Ref": "BounceTopic"},
        "StoresTemplate": {"Ref": "WelcomeStoresTemplate"},
    }
    assert set(mail.document["Parameters"]) == set(nested["Properties"]["Parameters"])


def test_only_ses_of_this_account_publishes_bounces(template):
    (statement,) = template.properties("BounceTopicPolicy")["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ses.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_what_suppress_could_not_take_is_kept(template):
    invocations = template.properties("SuppressInvocations")
    assert invocations["DestinationConfig"]["OnFailure"] == {"Destination": {"Fn::GetAtt": ["ParkingBucket", "Arn"]}}


def test_all_of_it_is_there_wherever_welcome_is(template):
    own = ["WelcomeMail", *(f"Suppress{part}" for part in ("Function", "Role", "Logs"))]
    for name in [*own, "BounceTopic", "BounceTopicPolicy", "SuppressInvocations"]:
        assert template.document["Resources"][name]["Condition"] == "WelcomeDeployed"


def test_the_stored_template_is_there_unless_it_is_not_wanted(template, mail):
    assert mail.document["Resources"]["Greeting"]["Condition"] == "TemplateIsStored"
    assert mail.document["Conditions"]["TemplateIsStored"] == {"Fn::Equals": [{"Ref": "StoresTemplate"}, "true"]}
    assert template.defaults()["WelcomeStoresTemplate"] == "true"


def test_the_function_may_send_the_stored_template(template, mail):
    (sending,) = [each for each in template.own_statements("Welcome") if each["Sid"] == "SendMessages"]
    allowed = [resolved(each, STACK) for each in sending["Resource"]]
    name = resolved(mail.properties("Greeting")["Template"]["TemplateName"], {"Prefix": "shop"})
    assert any(fnmatch(f"arn:aws:ses:eu-west-1:1:template/{name}", str(each)) for each in allowed)


def test_the_stored_template_says_what_the_files_say(mail, root):
    """SES escapes nothing: `{{name}}` comes escaped, and subject and text take `{{name_text}}`."""
    stored = mail.properties("Greeting")["Template"]
    content = contents(root / "functions/welcome/templates/welcome")["en"]
    assert stored["SubjectPart"] == content.subject.replace("{{name}}", "{{name_text}}")
    assert stored["TextPart"] == content.text.replace("{{name}}", "{{name_text}}")
    assert stored["HtmlPart"] == content.html


def test_suppress_is_built_and_told_what_it_reads(template, root):
    assert "\nbuild-SuppressFunction:\n" in (root / "functions/suppress/Makefile").read_text()
    variables = set(template.properties("SuppressFunction")["Environment"]["Variables"])
    assert variables == {"CLAIM_TABLE", "POWERTOOLS_SERVICE_NAME"}
