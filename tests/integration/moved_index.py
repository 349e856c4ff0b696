"""An index's readers, moved to the next generation by the commands of docs/runbooks/kinesis.md."""

from distributary.consumer.aws import ALIAS
from distributary.index.verify.command import client as client_of
from local.lambda_client import LambdaClient
from tests.integration.runbook import Step, steps
from tests.integration.switched import Shop, run


class Operator:
    """Moves an index's readers as the page says, around each deployment of a shop."""

    def __init__(self, shop: Shop, capsys) -> None:
        self.shop, self.capsys, self.generation = shop, capsys, 0
        self.apply, *self.move = steps("kinesis", "### index")

    def client(self, service: str, options):
        """As the commands make it; Lambda's is of the shop's functions."""
        if service == "lambda":
            return Deployed(lambda name: self.shop.stack.function(name, self.shop.source.stream_arn))
        return client_of(service, options)

    def before(self) -> None:
        """The next generation's index is there before a function writes to it."""
        self.generation += 1
        status, said = self.run(self.apply)
        assert status == 0, said

    def after(self) -> None:
        for step in self.move:
            status, said = self.run(step)
            assert status == 0, said

    def run(self, step: Step) -> tuple[int, str]:
        arn, endpoint = self.shop.stack.spec("index").arn, self.shop.endpoints.opensearch
        words = {"ENDPOINT": endpoint, "INDEX_FUNCTION": arn, "1": str(self.generation)}
        given = [words.get(word, word) for word in step.command.split()[1:]]
        pause = ["--pause", "1.5"] if "compare" in given else []
        return run(self.capsys, self.shop, *given, "--service", "none", *pause)


class Deployed(LambdaClient):
    """Of functions that were deployed long ago, and whose invocations end at once."""

    def get_function_configuration(self, *, FunctionName, Qualifier):
        assert Qualifier == ALIAS
        found = super().get_function_configuration(FunctionName=FunctionName)
        return {**found, "Timeout": 0, "LastModified": "2026-01-01T00:00:00.000+0000"}
