"""Bounces and complaints come back through SES's configuration set, SNS and a function of its own."""

from distributary.welcome.messages import contents


def test_messages_carry_the_configuration_set_whose_events_suppress_hears(template):
    set_ = {"Ref": "WelcomeConfigurationSet"}
    assert template.function("Welcome")["Environment"]["Variables"]["CONFIGURATION_SET"] == set_
    destination = template.properties("BounceDestination")
    assert destination["ConfigurationSetName"] == set_
    assert destination["EventDestination"]["MatchingEventTypes"] == ["bounce", "complaint"]
    assert destination["EventDestination"]["SnsDestination"] == {"TopicARN": {"Ref": "BounceTopic"}}
    (event,) = template.function("Suppress")["Events"].values()
    assert (event["Type"], event["Properties"]) == ("SNS", {"Topic": {"Ref": "BounceTopic"}})


def test_only_ses_of_this_account_publishes_bounces(template):
    (statement,) = template.properties("BounceTopicPolicy")["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ses.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_what_suppress_could_not_take_is_kept(template):
    invocations = template.properties("SuppressInvocations")
    assert invocations["DestinationConfig"]["OnFailure"] == {"Destination": {"Fn::GetAtt": ["ParkingBucket", "Arn"]}}


def test_all_of_it_is_there_wherever_welcome_is(template):
    own = ["WelcomeConfigurationSet", *(f"Suppress{part}" for part in ("Function", "Role", "Logs"))]
    for name in [*own, "BounceTopic", "BounceTopicPolicy", "BounceDestination", "SuppressInvocations"]:
        assert template.document["Resources"][name]["Condition"] == "WelcomeDeployed"


def test_the_stored_template_is_there_unless_it_is_not_wanted(template):
    assert template.document["Resources"]["WelcomeTemplate"]["Condition"] == "WelcomeStores"
    wanted = {"Fn::Equals": [{"Ref": "WelcomeStoresTemplate"}, "true"]}
    assert template.document["Conditions"]["WelcomeStores"] == {"Fn::And": [{"Condition": "WelcomeDeployed"}, wanted]}
    assert template.defaults()["WelcomeStoresTemplate"] == "true"


def test_the_stored_template_says_what_the_files_say(template, root):
    """SES escapes nothing: `{{name}}` comes escaped, and subject and text take `{{name_text}}`."""
    stored = template.properties("WelcomeTemplate")["Template"]
    content = contents(root / "functions/welcome/templates/welcome")["en"]
    assert stored["SubjectPart"] == content.subject.replace("{{name}}", "{{name_text}}")
    assert stored["TextPart"] == content.text.replace("{{name}}", "{{name_text}}")
    assert stored["HtmlPart"] == content.html


def test_suppress_is_built_and_told_what_it_reads(template, root):
    assert "\nbuild-SuppressFunction:\n" in (root / "functions/suppress/Makefile").read_text()
    variables = set(template.properties("SuppressFunction")["Environment"]["Variables"])
    assert variables == {"CLAIM_TABLE", "POWERTOOLS_SERVICE_NAME"}
